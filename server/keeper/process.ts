// One command from its start to its end: timeouts, what is kept of its output, who follows it, and how it ended. It never waits for a reader once the command is dead.
import { performance } from 'node:perf_hooks';
import { Fault } from '../../protocol/fault.ts';
import { type Limit, type SignalName, signalNames } from '../../protocol/vocabulary.ts';
import type { Flow } from './flood.ts';
import { Follower } from './follower.ts';
import type {
  KeptOutput,
  KeptProcess,
  ProcessEnd,
  ProcessOrder,
  ProcessSink,
  StreamName,
  Subscription,
  Totals,
} from './keeper.ts';
import { type OutputBudget, OutputKeeper } from './output.ts';
import type { Strikes } from './sandbox/cgroup.ts';
import type { Sandbox, SandboxEnd } from './sandbox/sandbox.ts';

/** The runner answers a stop within a few ms; a starved or dead one is not waited for. */
const STOP_GRACE_MS = 300;

/** Input that waits for the command to read it: a connection that waits with it takes other calls all the same. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

/** Fault RATE_LIMITED when so many bytes of input that wait are too much. */
export function refuseUnread(bytes: number): void {
  if (bytes <= MAX_UNREAD_BYTES) return;
  throw new Fault(
    'RATE_LIMITED',
    `The command has not read ${bytes} bytes of its input yet. Wait for a reply before you send more.`,
  );
}

/** A read that gave so much found more than Node takes at once. */
const TURN_BYTES = 64 * 1024;

/** A cold start takes some 10 ms; on a host so loaded that it takes this long the command wouldn't get anywhere. */
const START_MS = 20_000;

/** The end of one that did not start. */
export const NEVER_BEGUN = { outcome: 'lost', exitCode: null, signal: null, durationMs: 0 } as const;

interface ProcessParts {
  /** Waits for its order, or will. */
  readonly sandbox: Sandbox;
  readonly order: ProcessOrder;
  /** For the output that the slot's running commands keep. */
  readonly budget?: OutputBudget;
  /** Without one it is read whatever else there is to do. */
  readonly flow?: Flow;
}

/** Starts a command in its own sandbox. Rejects with SANDBOX_UNAVAILABLE when it could not be started; then nothing ran. */
export async function startProcess(parts: ProcessParts): Promise<KeptProcess> {
  const { sandbox } = parts;
  const process = new SandboxedProcess(parts);
  const tooLong = setTimeout(() => sandbox.destroy(), START_MS);
  try {
    await sandbox.running;
  } finally {
    clearTimeout(tooLong);
  }
  process.begin();
  return process;
}

type StoppedBy = 'total' | 'idle' | 'kill';

class SandboxedProcess implements KeptProcess {
  readonly startedAt = Date.now();
  readonly ended: Promise<ProcessEnd>;
  end: ProcessEnd | null = null;
  readonly #sandbox: Sandbox;
  readonly #flow: Flow | null;
  readonly #timeouts: Pick<ProcessOrder, 'timeoutMs' | 'idleTimeoutMs'>;
  /** When it was ordered: when it began is told by others, and late on a busy host, and it is not to have taken less time than it did. */
  readonly #startMs = performance.now();
  readonly #kept: Readonly<Record<StreamName, OutputKeeper>>;
  readonly #followers = new Set<Follower>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Whoever waits for a write when stdin closes is told so. */
  readonly #writers = new Set<() => void>();
  #lastOutputMs = 0;
  #stoppedBy: StoppedBy | null = null;
  #limit: Limit | undefined;
  #dead = false;
  /** Has given so much in this turn of the event loop that others come first. */
  readonly #paused: Record<StreamName, boolean> = { stdout: false, stderr: false };
  #inputOpen: boolean;

  constructor({ sandbox, order, budget, flow }: ProcessParts) {
    this.#sandbox = sandbox;
    this.#flow = flow ?? null;
    if (flow !== undefined) flow.changed = () => this.#balance();
    // Not the whole order: its input may be large, and an ended command is remembered for long.
    this.#timeouts = { timeoutMs: order.timeoutMs, idleTimeoutMs: order.idleTimeoutMs };
    const kept = () => new OutputKeeper(order.maxOutputBytes, budget);
    this.#kept = { stdout: kept(), stderr: kept() };
    this.#inputOpen = order.stdin === 'open';
    sandbox.stdin.once('close', () => {
      for (const closed of this.#writers) closed();
      this.#writers.clear();
    });
    this.ended = sandbox.closed.then((end) => this.#finish(end));
    sandbox.run(order, { output: (stream, data) => this.#output(stream, data), dead: () => this.#die() });
  }

  /** The command has been started: the time that it may take runs from here. */
  begin(): void {
    const { timeoutMs, idleTimeoutMs } = this.#timeouts;
    this.#lastOutputMs = performance.now();
    if (this.end !== null) return;
    if (timeoutMs > 0) this.#after(timeoutMs, () => this.#stop('total'));
    if (idleTimeoutMs > 0) this.#watchIdle(idleTimeoutMs, idleTimeoutMs);
  }

  elapsedMs(): number {
    return this.end?.durationMs ?? Math.round(performance.now() - this.#startMs);
  }

  output(stream: StreamName): KeptOutput {
    return this.#kept[stream].kept();
  }

  async refresh(): Promise<void> {}

  async totals(): Promise<Totals> {
    return { stdout: this.#kept.stdout.total, stderr: this.#kept.stderr.total };
  }

  subscribe(sink: ProcessSink, from: Readonly<Record<StreamName, number>>): Subscription {
    const follower = new Follower(sink, () => this.#balance());
    for (const stream of ['stdout', 'stderr'] as const) follower.catchUp(stream, this.output(stream), from[stream]);
    if (this.end !== null) follower.flush();
    else this.#followers.add(follower);
    this.#balance();
    return {
      close: () => {
        this.#followers.delete(follower);
        follower.close();
      },
    };
  }

  async write(data: Buffer): Promise<boolean> {
    const { stdin } = this.#sandbox;
    if (!this.#inputOpen || this.#dead || !stdin.writable) return false;
    refuseUnread(stdin.writableLength);
    return await new Promise((resolve) => {
      const closed = (): void => resolve(false);
      this.#writers.add(closed);
      stdin.write(data, (error) => {
        this.#writers.delete(closed);
        resolve(!error);
      });
    });
  }

  async closeInput(): Promise<void> {
    this.#inputOpen = false;
    this.#sandbox.stdin.end();
  }

  async signal(name: SignalName): Promise<boolean> {
    if (this.#dead) return false;
    if (name === 'KILL') this.#stop('kill');
    else this.#sandbox.signal(signalNames.indexOf(name) + 1);
    return true;
  }

  async kill(limit?: Limit): Promise<void> {
    if (this.end === null) this.#limit ??= limit;
    this.#stop('kill');
    await this.ended;
  }

  forget(): void {}

  /** First the runner, which saves what is in the pipes; then the kernel. */
  #stop(by: StoppedBy): void {
    if (this.end !== null || this.#stoppedBy !== null) return;
    this.#stoppedBy = by;
    this.#sandbox.stop();
    this.#after(STOP_GRACE_MS, () => this.#sandbox.destroy());
  }

  #output(stream: StreamName, data: Buffer): void {
    this.#lastOutputMs = performance.now();
    const offset = this.#kept[stream].total;
    this.#kept[stream].append(data);
    for (const follower of this.#followers) follower.push(stream, data, offset);
    this.#flow?.printed(data.length);
    if (data.length >= TURN_BYTES) this.#pauseFor(stream);
    this.#balance();
  }

  /** There is more to be read, and the kernel would go on giving it for a megabyte or two: everybody else has his turn in between. */
  #pauseFor(stream: StreamName): void {
    this.#paused[stream] = true;
    setImmediate(() => {
      this.#paused[stream] = false;
      this.#balance();
    });
  }

  /** A stream rests while one of its followers is busy or others come first; what is left of a dead process is little and read at once. */
  #balance(): void {
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.#sandbox.stream(name);
      const rest = !this.#dead && (this.#resting(name) || this.#flow?.resting === true || this.#paused[name]);
      if (rest && !stream.isPaused()) stream.pause();
      else if (!rest && stream.isPaused()) stream.resume();
    }
  }

  #resting(stream: StreamName): boolean {
    return [...this.#followers].some((follower) => follower.busy(stream));
  }

  /** The clock of a command that its reader holds up stands still. */
  #watchIdle(idleMs: number, inMs: number): void {
    this.#after(inMs, () => {
      if (this.#resting('stdout') || this.#resting('stderr')) this.#lastOutputMs = performance.now();
      const left = this.#lastOutputMs + idleMs - performance.now();
      if (left > 0) this.#watchIdle(idleMs, Math.ceil(left));
      else this.#stop('idle');
    });
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #die(): void {
    this.#dead = true;
    this.#balance();
  }

  /** What it was stopped for comes first: it was to end, whatever else happened to it. */
  #struck({ waitStatus }: SandboxEnd): Pick<ProcessEnd, 'limit'> {
    if (this.#limit !== undefined) return { limit: this.#limit };
    const fileSize = waitStatus !== null && (waitStatus & 0x7f) === SIGXFSZ;
    return fileSize ? { limit: 'disk' } : struck(this.#sandbox.strikes());
  }

  #finish(sandboxEnd: SandboxEnd): ProcessEnd {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#dead = true;
    const durationMs = Math.round(performance.now() - this.#startMs);
    this.end = { ...ending(sandboxEnd, this.#stoppedBy), durationMs, ...this.#struck(sandboxEnd) };
    for (const follower of this.#followers) follower.flush();
    this.#followers.clear();
    this.#flow?.close();
    this.#kept.stdout.end();
    this.#kept.stderr.end();
    return this.end;
  }
}

/** The limit that struck, if one did; what happened for want of memory explains more than what could not be forked. */
export function struck({ memory, processes }: Strikes): Pick<ProcessEnd, 'limit'> {
  if (memory > 0) return { limit: 'memory' };
  return processes > 0 ? { limit: 'processes' } : {};
}

/** What the kernel told the runner counts; without it bwrap's word; without both that it was killed, if we did. */
export function ending(end: SandboxEnd, stoppedBy: StoppedBy | null): Omit<ProcessEnd, 'durationMs'> {
  const { waitStatus, exitCode } = end;
  if (waitStatus === null && stoppedBy === null && exitCode !== null && exitCode > 128) return signaled(exitCode - 128);
  if (waitStatus === null && stoppedBy === null) return { outcome: 'lost', exitCode: null, signal: null };
  const killed = waitStatus === null ? KILL : waitStatus & 0x7f;
  if (waitStatus !== null && killed === 0) return { outcome: 'exited', exitCode: waitStatus >> 8, signal: null };
  const byTimeout = killed === KILL && (stoppedBy === 'total' || stoppedBy === 'idle');
  return byTimeout ? { outcome: 'timedOut', exitCode: null, signal: 'KILL', timedOutBy: stoppedBy } : signaled(killed);
}

const KILL = 9;
/** The kernel's answer to a file that grows beyond its limit. */
const SIGXFSZ = 25;

function signaled(number: number): Omit<ProcessEnd, 'durationMs'> {
  return { outcome: 'signaled', exitCode: null, signal: signalNames[number - 1] ?? null };
}
