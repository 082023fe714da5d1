import { expect, test } from 'vitest';
import type { SlotInfo } from '../../../../client/index.ts';
import { byActivity, matches } from '../../../../web-viewer/src/wall/order.ts';

const slot = (name: string, more: Partial<SlotInfo> = {}): SlotInfo => ({
  ...({
    state: 'leased',
    label: null,
    since: 0,
    cast: null,
    viewers: 0,
    processes: 0,
    running: null,
    terminal: null,
  } as SlotInfo),
  network: 'none',
  connected: true,
  ...more,
  slot: name,
});

test('what failed comes first, then what works, then what rests, the latest first and slot_2 before slot_10', () => {
  const slots = [
    slot('slot_10', { activeAt: 1_000 }),
    slot('slot_2', { activeAt: 1_000 }),
    slot('slot_3', { activeAt: 90_000 }),
    slot('slot_4', { activeAt: 50_000, processes: 1 }),
    slot('slot_5', { state: 'failed' }),
  ];
  expect(slots.toSorted(byActivity).map((one) => one.slot)).toEqual([
    'slot_5',
    'slot_4',
    'slot_3',
    'slot_2',
    'slot_10',
  ]);
});

test('every word of the filter must stand somewhere', () => {
  const one = slot('slot_1', { label: 'Fix Login', running: 'npm test' });
  expect(matches(one, 'login TEST')).toBe(true);
  expect(matches(one, 'login build')).toBe(false);
  expect(matches(one, '')).toBe(true);
});
