// The place where a terminal is drawn: keeps a player of the source that it is given, and lets it go with it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Player, type PlayerListener, type PlayerSource } from './player.ts';

export interface ScreenProps extends PlayerListener {
  /** Another value is another player; the same one keeps it. */
  readonly source: PlayerSource;
  readonly label: string;
  /** Given the player, and null when it is let go. */
  readonly hold?: (player: Player | null) => void;
}

export function Screen({ source, label, hold, ...listener }: ScreenProps) {
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const newest = useRef({ hold, listener });
  newest.current = { hold, listener };
  useEffect(() => {
    if (place.current === null) return;
    setProblem(null);
    return keep(place.current, source, { newest, failed: setProblem });
  }, [source]);
  return (
    <div class="screen" role="img" aria-label={label} onCopy={copyWithoutBlanks}>
      <div class="screen-place" ref={place} />
      {problem !== null && (
        <p class="screen-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** A terminal's rows are filled with blanks, which nobody wants to copy. */
function copyWithoutBlanks(event: ClipboardEvent): void {
  const text = getSelection()?.toString() ?? '';
  event.clipboardData?.setData('text/plain', text.replace(/[ \u00a0]+$/gm, ''));
  event.preventDefault();
}

interface Held {
  readonly newest: {
    readonly current: { readonly hold?: ScreenProps['hold'] | undefined; readonly listener: PlayerListener };
  };
  readonly failed: (reason: string) => void;
}

function keep(place: HTMLElement, source: PlayerSource, { newest, failed }: Held): () => void {
  const stage = document.createElement('div');
  stage.className = 'stage';
  place.replaceChildren(stage);
  let isOver = false;
  let player: Player | null = null;
  const told: PlayerListener = {
    ready: () => isOver || newest.current.listener.ready?.(),
    playing: (isPlaying) => isOver || newest.current.listener.playing?.(isPlaying),
    ended: () => isOver || newest.current.listener.ended?.(),
    failed: (reason) => {
      if (isOver) return;
      failed(reason);
      newest.current.listener.failed?.(reason);
    },
  };
  Player.open(stage, source, told).then(
    (opened) => {
      if (isOver) return opened.close();
      player = opened;
      newest.current.hold?.(opened);
    },
    (error: unknown) => told.failed?.(String(error)),
  );
  return () => {
    isOver = true;
    newest.current.hold?.(null);
    player?.close();
  };
}
