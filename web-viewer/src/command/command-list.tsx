// Commands in a list, each with its state, duration and exit code; one can be gone to, and its output be looked at.
import { useEffect, useRef, useState } from 'preact/hooks';
import { clock, runningSpan, span } from '../text/time.ts';
import { visible } from '../text/visible.ts';
import { Badge, outcomeText } from './badge.tsx';
import type { Command } from './command.ts';
import { CommandOutput } from './command-output.tsx';

export interface CommandListProps {
  readonly cast: string;
  /** Oldest first. */
  readonly commands: readonly Command[];
  readonly newestFirst: boolean;
  /** The one that belongs to the moment that is shown. */
  readonly current: number | null;
  /** The recording's time now, for those that run. */
  readonly liveTime: number | null;
  readonly go: (time: number) => void;
}

/** What a person scrolls through; the rest on request. */
const SHOWN = 200;

export function CommandList({ cast, commands, newestFirst, current, liveTime, go }: CommandListProps) {
  const [limit, setLimit] = useState(SHOWN);
  const shown = newestFirst ? commands.slice(-limit).toReversed() : commands.slice(0, limit);
  if (commands.length === 0)
    return <p class="hint pad">No commands yet: what execs and terminal.run run is listed here.</p>;
  return (
    <>
      <ol class="commands">
        {shown.map((command) => (
          <CommandRow
            key={command.seq}
            cast={cast}
            command={command}
            isCurrent={command.seq === current}
            liveTime={command.outcome === 'running' ? liveTime : null}
            go={go}
          />
        ))}
      </ol>
      {commands.length > limit && (
        <button type="button" class="pad" onClick={() => setLimit(limit + SHOWN)}>
          Show {Math.min(SHOWN, commands.length - limit)} more of {commands.length}
        </button>
      )}
    </>
  );
}

interface CommandRowProps {
  readonly cast: string;
  readonly command: Command;
  readonly isCurrent: boolean;
  readonly liveTime: number | null;
  readonly go: (time: number) => void;
}

function CommandRow({ cast, command, isCurrent, liveTime, go }: CommandRowProps) {
  const [isOpen, setOpen] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isCurrent) row.current?.scrollIntoView({ block: 'nearest' });
  }, [isCurrent]);
  const { durationMs, time, outcome } = command;
  const took = durationMs !== null ? span(durationMs) : liveTime !== null ? runningSpan((liveTime - time) * 1000) : '';
  const name = visible(command.command, 300);
  return (
    <li
      ref={row}
      class={isCurrent ? 'command-row current' : 'command-row'}
      aria-current={isCurrent ? 'step' : undefined}
    >
      <div class="command-line">
        <button
          type="button"
          class="quiet unfold"
          aria-expanded={isOpen}
          aria-label={`Output of ${name}`}
          title="Output"
          onClick={() => setOpen(!isOpen)}
        >
          <i aria-hidden="true">›</i>
        </button>
        <button
          type="button"
          class="command-go"
          title={`Go to ${clock(time)}`}
          // A click leaves the focus where it is, so that space goes on to mean play and pause.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => go(time)}
        >
          <Badge {...command} />
          <span class="command-text">
            <code>{name === '' ? '(empty)' : name}</code>
            <span class="command-facts">
              <span>{outcomeText(command)}</span>
              {took !== '' && <span>{took}</span>}
              <time>at {clock(time)}</time>
            </span>
          </span>
        </button>
      </div>
      {isOpen && (
        <div class="command-detail">
          <CommandOutput cast={cast} process={command.process} isRunning={outcome === 'running'} />
        </div>
      )}
    </li>
  );
}
