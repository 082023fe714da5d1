// The wall's order, by activity, but steady: cards don't move while somebody points at them or goes through them by keys.
import type { RefObject } from 'preact';
import { useRef } from 'preact/hooks';
import type { SlotInfo } from '../../../client/index.ts';
import { byActivity } from './order.ts';

/** Often enough to find what works, seldom enough to keep one's place. */
const REORDER_MS = 5000;

export function useSteadyOrder(slots: readonly SlotInfo[], grid: RefObject<HTMLElement | null>): readonly SlotInfo[] {
  const known = useRef<{ names: readonly string[]; atMs: number }>({ names: [], atMs: 0 });
  const byName = new Map(slots.map((slot) => [slot.slot, slot]));
  const stays = known.current.names.filter((name) => byName.has(name));
  const isHeld = grid.current?.matches(':hover, :focus-within') ?? false;
  const isDue = performance.now() - known.current.atMs >= REORDER_MS;
  if (stays.length === 0 || (isDue && !isHeld)) {
    known.current = { names: slots.toSorted(byActivity).map(({ slot }) => slot), atMs: performance.now() };
  } else {
    // What is new goes to the end until the next time.
    const added = slots.filter(({ slot }) => !stays.includes(slot)).toSorted(byActivity);
    known.current = { ...known.current, names: [...stays, ...added.map(({ slot }) => slot)] };
  }
  return known.current.names.flatMap((name) => byName.get(name) ?? []);
}
