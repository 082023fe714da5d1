// watch: live frames of a slot, for any number of viewers.
import { z } from 'zod';
import { frame } from './frame.ts';
import { method, notification } from './method.ts';
import { slotInfo } from './slot.ts';
import { castTime, empty, seq, slotName } from './value.ts';

export const gap = z
  .object({ from: seq, to: seq })
  .describe('numbers of the frames that were left out, both inclusive');

/** A screen that stands for every frame up to `seq`; what follows has seq + 1. */
export const screen = {
  seq,
  time: castTime,
  cols: z.int(),
  rows: z.int(),
  screen: z
    .string()
    .describe(
      'ANSI text that redraws the screen as of seq on a fresh terminal of that size; empty when since could be honoured',
    ),
};

export const watchMethods = {
  'watch.start': method({
    summary:
      'Gives the screen, then every frame after it; with since the missed frames instead, or a gap when they are gone.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({
      slot: slotName.optional().describe('without it the slot that this connection drives'),
      since: seq.optional().describe('number of the last frame already seen'),
      cast: z.string().optional().describe('the cast that since counts in; another lease gives a fresh screen'),
    }),
    result: z.object({
      watch: z.string(),
      slot: slotName,
      cast: z.string().nullable(),
      ...screen,
      gap: gap.optional(),
    }),
    faults: ['SLOT_NOT_FOUND', 'NOT_BOUND', 'LEASE_LOST'],
  }),
  'watch.stop': method({
    summary: 'Ends a watch.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({ watch: z.string() }),
    result: empty,
    faults: [],
  }),
  'watch.slots': method({
    summary: 'The slot list, then slots.changed on every change while on; with screens slots.screens too.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({ on: z.boolean(), screens: z.boolean().default(false) }),
    result: z.object({ slots: z.array(slotInfo) }),
    faults: [],
  }),
} as const;

export const watchNotifications = {
  'watch.frames': notification({
    summary: 'Frames in order; seq is the number of the first, the others follow by one.',
    params: z.object({ watch: z.string(), seq, frames: z.array(frame) }),
  }),
  'watch.resync': notification({
    summary: 'A viewer that was too slow is given a fresh screen; gap names the frames that it missed.',
    params: z.object({ watch: z.string(), ...screen, gap }),
  }),
  'watch.end': notification({
    summary: 'Nothing follows: the lease has ended, or the watch was refused.',
    params: z.object({ watch: z.string(), reason: z.string() }),
  }),
} as const;
