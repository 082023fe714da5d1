// Commands as a recording's markers tell of them, and as marks of a timeline. Pure.
import type { Marker } from '../../../client/index.ts';
import type { TimelineMark } from '../timeline/tick.ts';
import { isFailure, type Outcome } from './badge.tsx';

export interface Command {
  readonly process: string;
  readonly command: string;
  /** When it began, in seconds of the recording. */
  readonly time: number;
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  /** null while it runs. */
  readonly durationMs: number | null;
  readonly limit?: Marker['limit'];
  /** Distinguishes it in a list: a process name may come again after a reset. */
  readonly seq: number;
}

export function commandsOf(markers: readonly Marker[]): readonly Command[] {
  return markers.flatMap(({ process, command, outcome, time, seq, limit, exitCode = null, durationMs = null }) =>
    process === undefined || command === undefined || outcome === undefined
      ? []
      : [{ process, command, time, seq, limit, outcome, exitCode, durationMs }],
  );
}

export function timelineMarksOf(markers: readonly Marker[]): readonly TimelineMark[] {
  return markers.map(({ time, label, outcome, exitCode = null }) => ({ time, label, kind: kindOf(outcome, exitCode) }));
}

function kindOf(outcome: Outcome | undefined, exitCode: number | null): TimelineMark['kind'] {
  if (outcome === undefined) return 'other';
  if (outcome === 'running') return 'running';
  return isFailure({ outcome, exitCode }) ? 'failed' : 'ok';
}

/** The command that had begun last at a moment. */
export const commandAt = (commands: readonly Command[], time: number): Command | undefined =>
  commands.findLast((command) => command.time <= time + 0.01);
