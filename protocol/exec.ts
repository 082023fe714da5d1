// exec: one command in its own sandbox over the slot's workspace and /tmp.
import { z } from 'zod';
import { method, notification } from './method.ts';
import { argument, empty, encoding, environment, key, timeoutMs } from './value.ts';
import { type Limit, limits, type Outcome, outcomes, type SignalName, signalNames } from './vocabulary.ts';

export type { Limit, Outcome, SignalName };
export const outcome = z.enum(outcomes);

/** `KILL`, `SIGKILL` or 9. */
export const signal = z.union([z.string(), z.int()]).transform((given, context): SignalName => {
  const name = typeof given === 'number' ? signalNames[given - 1] : given.toUpperCase().replace(/^SIG/, '');
  if (name !== undefined && (signalNames as readonly string[]).includes(name)) return name as SignalName;
  context.issues.push({
    code: 'custom',
    input: given,
    message: `no signal of that name: use ${signalNames.join(', ')}`,
  });
  return z.NEVER;
});

/** A command line has at most 128 KiB for one argument on Linux; larger scripts go to bash by a descriptor. */
export const MAX_COMMAND_BYTES = 8 * 1024 * 1024;
export const DEFAULT_OUTPUT_BYTES = 1024 * 1024;
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const start = z.strictObject({
  command: argument.max(MAX_COMMAND_BYTES).optional().describe('runs under bash -c'),
  argv: z.array(argument).min(1).max(4096).optional().describe('runs as it is, without a shell'),
  cwd: argument.max(4096).optional().describe('absolute, or relative to /workspace'),
  env: environment.optional(),
  input: z.string().optional().describe('written to stdin'),
  inputEncoding: encoding.default('utf8'),
  stdin: z.enum(['closed', 'open']).default('closed'),
  network: z.literal('none').optional().describe('runs without network where the slot has it'),
  timeoutMs: timeoutMs.default(30_000).describe('0 = none'),
  idleTimeoutMs: timeoutMs.optional().describe('ends the command when it has printed nothing for that long'),
  maxOutputBytes: z
    .int()
    .min(0)
    .max(MAX_OUTPUT_BYTES)
    .default(DEFAULT_OUTPUT_BYTES)
    .describe('kept of each of stdout and stderr'),
  stream: z.boolean().default(false).describe('sends exec.output while it runs'),
  encoding: encoding.default('utf8').describe('of stdout, stderr and exec.output'),
  key: key.optional().describe('idempotency: a second call with it joins the first or gets its result'),
});
const startParams = start.refine((p) => (p.command === undefined) !== (p.argv === undefined), {
  message: 'give either command or argv',
  path: ['command'],
});

/** What was limited. output: what was printed is more than was kept. */
export const limit = z.enum(limits);

const ended = {
  process: z.string(),
  outcome,
  exitCode: z.int().nullable(),
  signal: z.enum(signalNames).nullable(),
  stdoutBytes: z.int().describe('as printed, also what was left out'),
  stderrBytes: z.int(),
  truncated: z.boolean(),
  durationMs: z.int(),
  sandboxed: z.boolean(),
  network: z.enum(['none', 'host']),
  timedOutBy: z.enum(['total', 'idle']).optional(),
  limit: limit.optional().describe('the limit that struck, if one did'),
};
const output = { stdout: z.string(), stderr: z.string() };

export const execExit = z.object(ended);
export const execResult = z.object({ ...ended, ...output });
export type ExecResult = z.infer<typeof execResult>;
export type ExecExit = z.infer<typeof execExit>;

export const processInfo = z.object({
  process: z.string(),
  command: z.string().describe('as given, cut at 1000 characters'),
  outcome: z.enum(['running', ...outcome.options]),
  exitCode: z.int().nullable(),
  signal: z.enum(signalNames).nullable(),
  startedAt: z.number().describe('ms since 1970'),
  durationMs: z.int(),
  stdoutBytes: z.int(),
  stderrBytes: z.int(),
});
export type ProcessInfo = z.infer<typeof processInfo>;

const startFaults = ['SANDBOX_UNAVAILABLE', 'TOO_MANY_PROCESSES', 'NO_SPACE', 'KEY_CONFLICT', 'CANCELLED'] as const;

export const execMethods = {
  'exec.run': method({
    summary: 'Runs a command to its end. A non-zero exit, a signal, a timeout and cut output are results.',
    role: 'agent',
    needs: 'slot',
    params: startParams,
    result: execResult,
    faults: startFaults,
  }),
  'exec.start': method({
    summary:
      'Starts a command and replies at once; exec.exit tells its end, exec.output what it prints if stream is on.',
    role: 'agent',
    needs: 'slot',
    params: startParams,
    result: z.object({ process: z.string() }),
    faults: startFaults,
  }),
  'exec.write': method({
    summary: "Writes to a command's stdin; it must have been started with stdin: 'open'.",
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      process: z.string(),
      data: z.string().default(''),
      encoding: encoding.default('utf8'),
      eof: z.boolean().default(false).describe('closes stdin after data'),
    }),
    result: empty,
    faults: ['PROCESS_NOT_FOUND', 'STDIN_CLOSED', 'RATE_LIMITED'],
  }),
  'exec.signal': method({
    summary: 'Sends a signal to the command; KILL takes the whole process tree.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({ process: z.string(), signal }),
    result: empty,
    faults: ['PROCESS_NOT_FOUND'],
  }),
  'exec.wait': method({
    summary: 'Waits for the end of a command; after timeoutMs replies with outcome "running" and the output so far.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      process: z.string(),
      timeoutMs: timeoutMs.optional().describe('without it as long as the command runs; 0 = do not wait'),
      encoding: encoding.default('utf8'),
    }),
    result: z.object({ ...ended, ...output, outcome: z.enum(['running', ...outcome.options]) }),
    faults: ['PROCESS_NOT_FOUND', 'CANCELLED'],
  }),
  'exec.hold': method({
    summary:
      'Holds the exec.output of a command back, or lets it come again. What is on its way still comes; then its pipe fills up, and it waits.',
    role: 'agent',
    needs: 'slot',
    params: z.strictObject({
      process: z.string(),
      on: z.boolean().describe('for this connection: a new one begins without it'),
    }),
    result: empty,
    faults: ['PROCESS_NOT_FOUND'],
  }),
  'exec.list': method({
    summary: 'The commands of this lease, running and ended, oldest first.',
    role: 'agent',
    needs: 'slot',
    params: empty,
    result: z.object({ processes: z.array(processInfo) }),
    faults: [],
  }),
} as const;

export const execNotifications = {
  'exec.output': notification({
    summary: 'What a streamed command printed. offset counts the bytes of that stream before data.',
    params: z.object({
      process: z.string(),
      stream: z.enum(['stdout', 'stderr']),
      data: z.string(),
      offset: z.int(),
      encoding: encoding.optional(),
    }),
  }),
  'exec.exit': notification({
    summary: 'A command that was started by exec.start has ended; sent once, after its last exec.output.',
    params: execExit,
  }),
} as const;
