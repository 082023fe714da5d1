// Going back while a slot goes on: a recording frozen at the moment of going back is played, and frozen anew to see what came since.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { KnownCast } from '../cast/use-cast.ts';
import { isPressable } from '../keyboard/keyboard.ts';
import type { Player, PlayerSource } from '../player/player.ts';

/** How often the moment that is shown is read from the player: smooth to the eye, cheap to draw. */
const READ_MS = 200;
/** Nearer to now than this nothing is left to be rewound. */
const NOW_S = 1;

export interface Rewind {
  /** The moment that is shown, in seconds; null while live. */
  readonly time: number | null;
  readonly source: PlayerSource | null;
  readonly isPlaying: boolean;
  seek(time: number): void;
  goLive(): void;
  togglePlay(): void;
  /** False when space is somebody else's. */
  onSpace(): unknown;
  hold(player: Player | null): void;
  onPlaying(isPlaying: boolean): void;
  /** What was frozen is over: goes on with what came since. */
  onEnded(): void;
}

interface Frozen {
  readonly until: number;
  readonly startAt: number;
  readonly plays: boolean;
}

export function useRewind(cast: string, known: KnownCast): Rewind {
  const [frozen, setFrozen] = useState<Frozen | null>(null);
  const [time, setTime] = useState<number | null>(null);
  const [isPlaying, setPlaying] = useState(false);
  const player = useRef<Player | null>(null);
  const newest = useRef(known);
  newest.current = known;
  const source = useMemo(() => (frozen === null ? null : sourceOf(cast, frozen)), [cast, frozen]);

  useEffect(() => {
    if (frozen === null) return;
    const timer = setInterval(() => {
      if (player.current !== null) setTime(player.current.time);
    }, READ_MS);
    return () => clearInterval(timer);
  }, [frozen]);

  const goLive = (): void => {
    setFrozen(null);
    setTime(null);
    setPlaying(false);
  };
  const freeze = (startAt: number): void => {
    const until =
      newest.current.info === null
        ? 0
        : newest.current.info.live
          ? recorded(newest.current)
          : newest.current.info.duration;
    if (until - startAt < NOW_S) {
      goLive();
      return;
    }
    setFrozen({ until, startAt, plays: true });
    setTime(startAt);
    setPlaying(true);
  };
  const seek = (to: number): void => {
    if (frozen === null || to >= frozen.until || player.current === null) {
      freeze(to);
      return;
    }
    setTime(to);
    player.current.seek(to);
  };
  const togglePlay = (): void => {
    if (player.current === null) {
      // Until the player is there, what is wished for is how it begins.
      if (frozen !== null) setFrozen({ ...frozen, plays: !isPlaying });
      setPlaying(!isPlaying);
    } else if (isPlaying) player.current.pause();
    else player.current.play();
  };
  return {
    time,
    source,
    isPlaying,
    seek,
    goLive,
    togglePlay,
    onSpace: () => {
      if (frozen === null || isPressable(document.activeElement)) return false;
      return togglePlay();
    },
    hold: (held) => {
      player.current = held;
    },
    onPlaying: setPlaying,
    onEnded: () => frozen !== null && freeze(frozen.until),
  };
}

/** Up to where the recording is known to go: not quite now, since frames are on their way. */
const recorded = (known: KnownCast): number => Math.max(0, known.liveTime() - 0.1);

function sourceOf(cast: string, { until, startAt, plays }: Frozen): PlayerSource {
  const index = `/casts/${encodeURIComponent(cast)}/index.json?until=${Math.floor(until * 1000)}`;
  return { kind: 'recording', index, startAt, speed: 1, plays };
}
