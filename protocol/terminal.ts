// terminal: the slot's persistent shell on a pty.
import { z } from 'zod';
import { DEFAULT_OUTPUT_BYTES, limit, MAX_COMMAND_BYTES, MAX_OUTPUT_BYTES, outcome } from './exec.ts';
import { method } from './method.ts';
import { argument, COLS, cols, empty, environment, key, ROWS, rows, seq, timeoutMs } from './value.ts';

const size = { cols: z.int(), rows: z.int() };

export const terminalRunResult = z.object({
  outcome,
  exitCode: z.int().nullable(),
  output: z.string().describe("the command's own output: no prompt, no echo, no marker"),
  outputBytes: z.int(),
  truncated: z.boolean(),
  durationMs: z.int(),
  cwd: z.string().nullable().describe('where the shell is afterwards; null when it has ended'),
  limit: limit.optional().describe('the limit that struck in the terminal meanwhile, if one did'),
});
export type TerminalRunResult = z.infer<typeof terminalRunResult>;

export const terminalCapture = z.object({
  text: z.string(),
  ...size,
  cursor: z.object({ col: z.int(), row: z.int(), visible: z.boolean() }).describe('from 0, top left'),
  title: z.string(),
  alternateScreen: z.boolean(),
  seq,
});
export type TerminalCapture = z.infer<typeof terminalCapture>;

export const terminalMethods = {
  'terminal.start': method({
    summary: 'Starts the shell if it is not there. Sizes are clamped to 20–500 × 5–200.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      cols: cols.default(COLS.default),
      rows: rows.default(ROWS.default),
      env: environment.optional(),
      network: z.literal('none').optional().describe('starts the shell without network where the slot has it'),
    }),
    result: z.object({ ...size, started: z.boolean(), network: z.enum(['none', 'host']).describe('of the shell') }),
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE'],
  }),
  'terminal.run': method({
    summary:
      'Runs a script in the shell and waits for its end; cwd, variables and jobs stay. One at a time, others queue.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      command: argument.max(MAX_COMMAND_BYTES),
      timeoutMs: timeoutMs.default(30_000).describe('0 = none'),
      maxOutputBytes: z.int().min(0).max(MAX_OUTPUT_BYTES).default(DEFAULT_OUTPUT_BYTES),
      key: key.optional(),
    }),
    result: terminalRunResult,
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE', 'TERMINAL_BUSY', 'KEY_CONFLICT', 'CANCELLED'],
  }),
  'terminal.write': method({
    summary: 'Raw bytes to the terminal, as typed.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ data: z.string() }),
    result: empty,
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE', 'TERMINAL_BUSY', 'TERMINAL_ENDED'],
  }),
  'terminal.keys': method({
    summary: 'Keys in tmux notation (Enter, C-c, M-x, Up, F5, …); what is no key name is typed as it is.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ keys: z.array(z.string()).max(10_000) }),
    result: empty,
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE', 'TERMINAL_BUSY', 'TERMINAL_ENDED'],
  }),
  'terminal.resize': method({
    summary: 'Sets the size for everybody who looks; replies with the size after clamping.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ cols, rows }),
    result: z.object(size),
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE'],
  }),
  'terminal.capture': method({
    summary: 'The screen as it stands, and up to `history` lines above it.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      history: z.int().min(0).max(10_000).default(0),
      format: z.enum(['text', 'ansi']).default('text'),
    }),
    result: terminalCapture,
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE'],
  }),
  'terminal.wait': method({
    summary: 'Waits until the screen shows text or regex, output rests for idleMs, or the shell is back at its prompt.',
    role: 'agent',
    needs: 'slot',
    params: z
      .strictObject({
        text: z.string().min(1).max(10_000).optional(),
        regex: z.string().min(1).max(1000).optional().describe('JavaScript syntax, multiline'),
        idleMs: timeoutMs.optional(),
        prompt: z.boolean().optional(),
        timeoutMs: timeoutMs.default(30_000),
      })
      .refine((p) => [p.text, p.regex, p.idleMs, p.prompt || undefined].filter((v) => v !== undefined).length === 1, {
        message: 'give exactly one of text, regex, idleMs, prompt',
        path: ['text'],
      }),
    result: z.object({ matched: z.boolean(), text: z.string(), seq }),
    faults: ['SANDBOX_UNAVAILABLE', 'NO_SPACE', 'TERMINAL_ENDED', 'CANCELLED'],
  }),
  'terminal.stop': method({
    summary: 'Ends the shell and all that runs in it.',
    role: 'agent',
    needs: 'slot',
    params: empty,
    result: z.object({ exitCode: z.int().nullable() }),
    faults: [],
  }),
} as const;
