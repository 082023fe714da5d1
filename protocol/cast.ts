// cast: recordings, one for each lease.
import { z } from 'zod';
import { DEFAULT_OUTPUT_BYTES, limit, outcome } from './exec.ts';
import { frame } from './frame.ts';
import { method } from './method.ts';
import { castTime, label, seq, slotName } from './value.ts';
import { CAST_ID } from './vocabulary.ts';

/** A reply that a page can still show; the download has all of it. */
const MAX_SHOWN_BYTES = 8 * 1024 * 1024;

export const castId = z.string().regex(CAST_ID, 'a cast is named cast_…');

export const marker = z.object({
  time: castTime,
  seq,
  label: z.string(),
  process: z.string().optional().describe('the exec (p1, …) or terminal.run (r1, …) that it belongs to'),
  command: z.string().optional(),
  outcome: z.enum(['running', ...outcome.options]).optional(),
  exitCode: z.int().nullable().optional(),
  durationMs: z.int().optional(),
  limit: limit.optional(),
});
export type Marker = z.infer<typeof marker>;

export const castInfo = z.object({
  cast: castId,
  slot: z.string().max(64).describe('empty for a recording that does not say'),
  label: z.string().nullable(),
  startedAt: z.number().describe('ms since 1970'),
  duration: z.number().describe('seconds'),
  bytes: z.int().describe('of the asciicast v3 file'),
  cols: z.int(),
  rows: z.int(),
  live: z.boolean(),
  pinned: z.boolean().describe('kept whatever --keep-casts says'),
  commands: z.int(),
  failed: z.int().describe('commands that ended otherwise than by exit code 0'),
});
export type CastInfo = z.infer<typeof castInfo>;

const startMoment = z.number().min(0);
const oneCast = z.strictObject({ cast: castId });

export const castMethods = {
  'cast.list': method({
    summary: 'Recordings, newest first.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({
      slot: slotName.optional(),
      label: label.optional(),
      search: z
        .string()
        .max(200)
        .optional()
        .describe('words, upper or lower case alike, each of which is in the slot, the label or a command'),
      from: startMoment.optional().describe('only casts that began then or later, in ms since 1970'),
      to: startMoment.optional().describe('only casts that began before'),
      limit: z.int().min(1).max(1000).default(100),
      before: castId.optional().describe('only casts older than this one: the last of the page before'),
    }),
    result: z.object({ casts: z.array(castInfo) }),
    faults: [],
  }),
  'cast.info': method({
    summary: 'One recording with its markers and pauses.',
    role: 'viewer',
    needs: 'nothing',
    params: oneCast,
    result: castInfo.extend({
      markers: z.array(marker).describe('the first 50,000'),
      idle: z
        .array(z.tuple([castTime, castTime]))
        .describe('pauses of 2 s and more without output, in seconds; the longest 10,000'),
      hash: z
        .string()
        .nullable()
        .describe('of a sealed recording: stands for all of it, as its seal says; to be noted elsewhere'),
    }),
    faults: ['CAST_NOT_FOUND', 'CAST_DAMAGED'],
  }),
  'cast.verify': method({
    summary: 'Whether a recording is as it was recorded, by its chain of hashes; else the first line that is not.',
    role: 'viewer',
    needs: 'nothing',
    params: oneCast,
    result: z.object({
      cast: castId,
      ok: z.boolean().describe('sealed, chained, and every line is as it was recorded'),
      sealed: z.boolean().describe('false while it is recorded, and when its end is missing'),
      chained: z.boolean().describe('false for what older versions recorded: nothing can be said of it'),
      recovered: z.boolean().describe('the gateway ended in the middle of it, and sealed it when it started again'),
      line: z
        .int()
        .optional()
        .describe('the first line that was changed or added, or before which one is missing; the first is 1'),
      reason: z.string().optional().describe('why it is not ok'),
      lines: z.int().describe('whole lines of the file'),
      hash: z
        .string()
        .nullable()
        .describe('stands for all of it, to be compared with one noted elsewhere; null unless ok'),
    }),
    faults: ['CAST_NOT_FOUND'],
  }),
  'cast.pin': method({
    summary: 'Keeps a recording whatever the rule for old ones says, or no more. It may be one that is still recorded.',
    role: 'agent',
    needs: 'nothing',
    params: z.strictObject({ cast: castId, pinned: z.boolean() }),
    result: z.object({ cast: castId, pinned: z.boolean() }),
    faults: ['CAST_NOT_FOUND', 'NO_SPACE'],
  }),
  'cast.seek': method({
    summary: 'The screen at a moment; past the end the last one.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({
      cast: castId,
      time: castTime,
      text: z.boolean().default(false).describe('gives the screen as plain text too'),
    }),
    result: z.object({
      time: castTime,
      seq,
      cols: z.int(),
      rows: z.int(),
      screen: z.string(),
      text: z.string().optional().describe('rows joined by line feeds, without blanks and empty rows at the end'),
    }),
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
  'cast.output': method({
    summary:
      'What one command of a recording printed, as text; of a terminal.run at any time, of an exec as long as its lease lives.',
    role: 'viewer',
    needs: 'nothing',
    params: z.strictObject({
      cast: castId,
      process: z.string().regex(/^[pr]\d{1,10}$/, 'a command is named p1 (exec) or r1 (terminal.run)'),
      maxBytes: z
        .int()
        .min(0)
        .max(MAX_SHOWN_BYTES)
        .default(DEFAULT_OUTPUT_BYTES)
        .describe('of each of stdout and stderr: its head and tail'),
    }),
    result: z.object({
      process: z.string(),
      command: z.string(),
      outcome: z.enum(['running', ...outcome.options]),
      exitCode: z.int().nullable(),
      stdout: z.string().describe('so far, while the command runs; of a terminal.run without escape sequences'),
      stderr: z.string().describe('of a terminal.run empty: a terminal has one stream'),
      truncated: z.boolean(),
    }),
    faults: ['CAST_NOT_FOUND', 'CAST_DAMAGED', 'PROCESS_NOT_FOUND'],
  }),
} as const;
