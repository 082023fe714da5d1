// slotcast exec SLOT -- CMD: runs a command in a slot as if it were here: output as it comes, stdin, signals and the exit code pass through.
import { constants } from 'node:os';
import { type Client, type ExecExit, Fault, type Process, type Slot } from '../client/index.ts';
import { Complaint } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { OutputStream } from './output.ts';
import { type HoldOptions, holdSlot } from './slot-hold.ts';

export interface ExecOptions extends GatewayOptions, HoldOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** False leaves stdin alone. */
  readonly input: boolean;
}

/** As timeout(1) has it. */
const TIMED_OUT = 124;
/** As a shell shows the end by SIGPIPE. */
const NO_READER = 141;

/** Resolves with the command's exit code, 128 + n when it died of signal n. */
export async function exec(name: string, words: readonly string[], options: ExecOptions): Promise<number> {
  const client = await connectTo(options);
  try {
    const held = await holdSlot(client, name, options);
    try {
      return await run(client, held.slot, { words, options });
    } finally {
      await held.release();
    }
  } finally {
    await client.close();
  }
}

interface Order {
  readonly words: readonly string[];
  readonly options: ExecOptions;
}

async function run(client: Client, slot: Slot, { words, options }: Order): Promise<number> {
  const { cwd, env, timeoutMs = 0, input } = options;
  const [only = ''] = words;
  const pipesInput = input && !process.stdin.isTTY;
  const remote = await slot.exec.start({
    ...(words.length === 1 ? { command: only } : { argv: [...words] }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    stdin: pipesInput ? 'open' : 'closed',
    // Exact bytes, whatever they are.
    encoding: 'base64',
    timeoutMs,
  });
  const stopSignals = forwardSignals(remote);
  const stopTelling = client.on('takenOver', () => {
    process.stderr.write(`slotcast: ${slot.name} was taken over: this goes on when it is given back\n`);
  });
  let isUnread = false;
  const gone = (): void => {
    isUnread = true;
    remote.signal('KILL').catch(() => {});
  };
  try {
    if (pipesInput) void sendInput(remote);
    await printOutput(remote, {
      stdout: new OutputStream(process.stdout, gone),
      stderr: new OutputStream(process.stderr, gone),
    });
    const exit = await remote.exit;
    return isUnread ? NO_READER : exitCodeOf(exit);
  } finally {
    stopSignals();
    stopTelling();
    process.stdin.destroy();
  }
}

async function printOutput(remote: Process, streams: Record<'stdout' | 'stderr', OutputStream>): Promise<void> {
  const printed = { stdout: 0, stderr: 0 };
  for await (const { stream, data, offset } of remote) {
    if (offset > printed[stream]) warnOfGap(stream, offset - printed[stream]);
    const bytes = Buffer.from(data, 'base64');
    printed[stream] = offset + bytes.length;
    await streams[stream].write(bytes);
  }
  const { stdoutBytes, stderrBytes, limit } = await remote.exit;
  if (stdoutBytes > printed.stdout) warnOfGap('stdout', stdoutBytes - printed.stdout);
  if (stderrBytes > printed.stderr) warnOfGap('stderr', stderrBytes - printed.stderr);
  warnOfLimit(limit);
}

const limitText: Readonly<Record<string, string>> = {
  memory: 'the slot has no more memory for it, so the kernel ended a process of it',
  processes: 'it could not start more processes',
  disk: 'it wrote more than may be on disk',
};

function warnOfLimit(struck: ExecExit['limit']): void {
  const text = limitText[struck ?? ''];
  if (text !== undefined) process.stderr.write(`slotcast: a limit struck: ${text}\n`);
}

function warnOfGap(stream: string, bytes: number): void {
  process.stderr.write(
    `slotcast: ${bytes} bytes of ${stream} are missing here: the connection was away for too long\n`,
  );
}

async function sendInput(remote: Process): Promise<void> {
  try {
    for await (const chunk of process.stdin) await remote.write(chunk as Buffer);
    await remote.closeInput();
  } catch (error) {
    // The command has closed its stdin or has ended, and so does the reading of ours.
    if (error instanceof Fault || process.stdin.destroyed) return;
    process.stderr.write(`slotcast: stdin: ${(error as Error).message}\n`);
  }
}

/** Passes Ctrl-C and the like on; who insists ends the whole tree. */
function forwardSignals(remote: Process): () => void {
  const insistAfter = 2;
  let received = 0;
  const forward = (signal: NodeJS.Signals): void => {
    remote.signal(++received > insistAfter ? 'KILL' : signal).catch(() => {});
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}

function exitCodeOf({ outcome, exitCode, signal }: ExecExit): number {
  if (outcome === 'exited' && exitCode !== null) return exitCode;
  if (outcome === 'signaled' && signal !== null) return 128 + (signalNumbers[`SIG${signal}`] ?? 0);
  if (outcome === 'timedOut') return TIMED_OUT;
  throw new Complaint('The end of the command could not be observed: whether it succeeded is unknown.');
}

const signalNumbers: Readonly<Record<string, number>> = constants.signals;
