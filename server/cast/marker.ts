// Markers of a cast: each command once, at its start, with how it ended. Pure.
import type { Marker } from '../../protocol/cast.ts';
import { type CommandEnd, parseLabel } from '../../protocol/command-mark.ts';
import type { Mark } from './seek-index.ts';

/** A command without an end still runs while the cast is live; in a cast that has ended nobody knows any more. */
export function markersOf(marks: readonly Mark[], live: boolean): Marker[] {
  const open = new Map<string, Marker>();
  const markers: Marker[] = [];
  for (const { timeMs, seq, label } of marks) {
    const said = parseLabel(label);
    if (said?.kind === 'end') {
      const begun = open.get(said.process);
      if (begun !== undefined) Object.assign(begun, endOf(said));
      open.delete(said.process);
      if (begun !== undefined) continue;
    }
    const marker: Marker = { time: timeMs / 1000, seq, label };
    markers.push(marker);
    if (said?.kind !== 'start') continue;
    const { process, command } = said;
    Object.assign(marker, { label: command, process, command, outcome: live ? 'running' : 'lost', exitCode: null });
    open.set(process, marker);
  }
  return markers;
}

const endOf = ({ outcome, exitCode, durationMs, limit }: CommandEnd): Partial<Marker> => ({
  outcome,
  exitCode,
  durationMs,
  ...(limit === undefined ? {} : { limit }),
});
