// cast: recordings, one for each lease.
import { z } from 'zod';
import { outcome } from './exec.ts';
import { frame } from './frame.ts';
import { method } from './method.ts';
import { castTime, label, seq, slotName } from './value.ts';

export const castId = z.string().regex(/^cast_[0-9a-z_-]{1,80}$/, 'a cast is named cast_…');

export const marker = z.object({
  time: castTime,
  seq,
  label: z.string(),
  process: z.string().optional().describe('the exec (p1, …) or terminal.run (r1, …) that it belongs to'),
  command: z.string().optional(),
  outcome: z.enum(['running', ...outcome.options]).optional(),
  exitCode: z.int().nullable().optional(),
  durationMs: z.int().optional(),
});
export type Marker = z.infer<typeof marker>;

export const castInfo = z.object({
  cast: castId,
  slot: slotName,
  label: z.string().nullable(),
  startedAt: z.number().describe('ms since 1970'),
  duration: z.number().describe('seconds'),
  bytes: z.int().describe('of the asciicast v3 file'),
  cols: z.int(),
  rows: z.int(),
  live: z.boolean(),
  commands: z.int(),
});
export type CastInfo = z.infer<typeof castInfo>;

const oneCast = z.strictObject({ cast: castId });

export const castMethods = {
  'cast.list': method({
    summary: 'Recordings, newest first.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({
      slot: slotName.optional(),
      label: label.optional(),
      limit: z.int().min(1).max(1000).default(100),
      before: castId.optional().describe('only casts older than this one: the last of the page before'),
    }),
    result: z.object({ casts: z.array(castInfo) }),
    faults: [],
  }),
  'cast.info': method({
    summary: 'One recording with its markers.',
    role: 'viewer',
    needs: 'nothing',
    params: oneCast,
    result: castInfo.extend({ markers: z.array(marker) }),
    faults: ['CAST_NOT_FOUND', 'CAST_DAMAGED'],
  }),
  'cast.seek': method({
    summary: 'The screen at a moment; past the end the last one.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({ cast: castId, time: castTime }),
    result: z.object({ time: castTime, seq, cols: z.int(), rows: z.int(), screen: z.string() }),
    faults: ['CAST_NOT_FOUND', 'CAST_DAMAGED'],
  }),
  'cast.read': method({
    summary:
      'The frames with from ≤ time < to, in seconds; at most 8 MiB, then truncated is set and next says where to go on.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({ cast: castId, from: castTime.default(0), to: castTime.default(Number.MAX_SAFE_INTEGER) }),
    result: z.object({ frames: z.array(frame), truncated: z.boolean(), next: castTime.optional() }),
    faults: ['CAST_NOT_FOUND', 'CAST_DAMAGED'],
  }),
} as const;
