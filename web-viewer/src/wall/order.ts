// Which slots the wall shows and in which order. Pure.
import type { SlotInfo } from '../../../client/index.ts';

/** Every word must stand in the slot's name, label, state or command. */
export function matches(slot: SlotInfo, filter: string): boolean {
  const text = [slot.slot, slot.label, slot.state, slot.running, slot.last?.command, slot.terminal?.title]
    .join('\n')
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** What needs a look comes first: failed, then at work, then what rests, by how lately something happened. */
export function byActivity(a: SlotInfo, b: SlotInfo): number {
  return rank(a) - rank(b) || activeAt(b) - activeAt(a) || compareNames(a, b);
}

/** slot_2 before slot_10. */
export const compareNames = (a: SlotInfo, b: SlotInfo): number =>
  a.slot.localeCompare(b.slot, undefined, { numeric: true });

function rank({ state, processes }: SlotInfo): number {
  if (state === 'failed') return 0;
  if (state === 'leased') return processes > 0 ? 1 : 2;
  return state === 'resetting' ? 3 : 4;
}

/** To ten seconds, so that two busy slots don't swap places all the time. */
const activeAt = (slot: SlotInfo): number => Math.floor((slot.activeAt ?? slot.since ?? 0) / 10_000);
