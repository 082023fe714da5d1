// One command's sandbox as who runs the command sees it: it waits for an order, runs it, and tells of its end by what can't be forged from inside.
import type { Readable, Writable } from 'node:stream';
import { Fault } from '../../../protocol/fault.ts';
import type { Network } from '../../../protocol/slot.ts';
import type { ProcessOrder, SlotPlace, StreamName } from '../keeper.ts';
import { bareEnv, barePath } from './bare.ts';
import { type Cgroup, NO_STRIKES, type Strikes } from './cgroup.ts';
import { BASE_ENV, type Policy } from './policy.ts';
import { explain, hiddenPaths } from './reason.ts';
import { orderText, RUNNER_MAY_FORK, RUNNER_STOP, RunnerReport, runnerFrame, runnerSignal } from './runner.ts';
import type { Walls, WallsEnd } from './walls.ts';

export interface SandboxSpec {
  readonly policy: Policy;
  readonly place: SlotPlace;
  readonly network: Network;
  /** Where its memory and processes are counted and limited. */
  readonly group?: Cgroup | undefined;
}

/** How a sandbox ended: the runner's report and its walls'. */
export interface SandboxEnd {
  /** The raw wait status of the payload; null when the runner couldn't tell. */
  readonly waitStatus: number | null;
  /** Of the walls: 128 + n for a signal; null when they told none. */
  readonly exitCode: number | null;
}

export interface SandboxEvents {
  output(stream: StreamName, data: Buffer): void;
  /** The payload has ended and everything with it; what it printed and isn't read yet is less than a few hundred KiB. */
  dead(): void;
}

/** What can be read of a command's stderr before the word that it has begun, which stands on another socket, is far less. */
const MAX_COMPLAINT_BYTES = 16 * 1024 * 1024;

/** One sandbox for one command. Nothing in it outlives `closed`. */
export class Sandbox {
  /** Resolves when the runner waits for its order; rejects with SANDBOX_UNAVAILABLE when the sandbox did not come up, so nothing ran. */
  readonly ready: Promise<void>;
  /** Resolves when it is in its group too; rejects when it could not be put there. */
  readonly joined: Promise<void>;
  /** Resolves when the payload has been started; rejects like `ready`. */
  readonly running: Promise<void>;
  /** Resolves when everything is dead and both streams were read to their end. */
  readonly closed: Promise<SandboxEnd>;
  readonly #spec: SandboxSpec;
  readonly #walls: Walls;
  readonly #reported = new RunnerReport();
  #complaint: Buffer[] = [];
  #complaintBytes = 0;
  #events: SandboxEvents | null = null;
  #waitStatus: number | null = null;
  #isReady = false;
  #isRunning = false;
  /** What it could not be given, so that it did not run. */
  #refusal: Fault | null = null;
  #markReady: () => void = () => {};
  #markRunning: () => void = () => {};

  constructor(spec: SandboxSpec, walls: Walls) {
    this.#spec = spec;
    this.#walls = walls;
    const { join } = walls;
    walls.control.on('data', (data: Buffer) => this.#report(data.toString('latin1')));
    walls.stderr.on('data', (data: Buffer) => this.#stderr(data));
    const failure = new Promise<never>((_, reject) => {
      void walls.closed.then((end) => (this.#isReady && this.#isRunning) || reject(this.#failure(end)));
    });
    this.ready = Promise.race([new Promise<void>((resolve) => (this.#markReady = resolve)), failure]);
    this.running = Promise.race([new Promise<void>((resolve) => (this.#markRunning = resolve)), failure]);
    if (spec.group === undefined && join !== null) walls.control.write(RUNNER_MAY_FORK);
    this.joined = spec.group === undefined || join === null ? this.ready : this.#join(spec.group, join);
    for (const awaited of [this.ready, this.running, this.joined]) awaited.catch(() => {});
    this.closed = walls.closed.then(({ exitCode }) => ({ waitStatus: this.#waitStatus, exitCode }));
  }

  get stdin(): Writable {
    return this.#walls.stdin;
  }

  /** How often a limit struck in it; to be asked before its group is closed. */
  strikes(): Strikes {
    return this.#spec.group?.strikes() ?? NO_STRIKES;
  }

  /** Its first process lives, as far as the kernel has told. */
  get alive(): boolean {
    return this.#walls.alive;
  }

  /** Gives the one order. It need not wait for `ready`. */
  run(order: ProcessOrder, events: SandboxEvents): void {
    this.#events = events;
    const { control, join, stdout } = this.#walls;
    stdout.on('data', (data: Buffer) => events.output('stdout', data));
    const frame = runnerFrame(orderText(this.#runnerOrder(order)));
    if (this.#spec.group === undefined || join === null) control.write(frame);
    else
      void this.joined.then(
        () => control.write(frame),
        (error) => this.#refuse(error),
      );
    if (order.input !== null && order.input.length > 0) this.stdin.write(order.input);
    // Without input the command has /dev/null, and nobody reads here.
    if (order.stdin === 'closed' && order.input !== null) this.stdin.end();
  }

  stream(name: StreamName): Readable {
    return this.#walls[name];
  }

  /** To the process group of the command. */
  signal(number: number): void {
    if (!this.#walls.ended) this.#walls.control.write(runnerSignal(number));
  }

  /** Asks the runner to kill everything and hand over what is in the pipes. It may be too slow, or dead: then `destroy`. */
  stop(): void {
    if (!this.#walls.ended) this.#walls.control.write(RUNNER_STOP);
  }

  /** SIGKILL to the sandbox's first process: the kernel takes all others with it. */
  destroy(): void {
    this.#walls.destroy();
  }

  #runnerOrder(order: ProcessOrder): Parameters<typeof orderText>[0] {
    const { policy, place } = this.#spec;
    const isBare = policy.sandbox === 'none';
    const cwd = isBare ? barePath(place, order.cwd) : order.cwd;
    const base = isBare ? bareEnv(place) : BASE_ENV;
    const piped = order.input !== null || order.stdin === 'open';
    return {
      kill: isBare ? 'tree' : 'own',
      cwd,
      env: { ...base, PWD: cwd, ...order.env },
      run: order.run,
      stdin: piped ? 'pipe' : 'null',
    };
  }

  /** The runner forks nothing before it may, so that all it will start is in the group with it. */
  async #join(group: Cgroup, join: (group: Cgroup) => Promise<void>): Promise<void> {
    await this.ready;
    await join(group);
    this.#walls.control.write(RUNNER_MAY_FORK);
  }

  #refuse(error: unknown): void {
    // One that has failed has said why.
    if (error instanceof Fault) return;
    this.#refusal = new Fault(
      'SANDBOX_UNAVAILABLE',
      `The limits of memory and processes could not be set, so nothing ran (${(error as NodeJS.ErrnoException).code ?? 'unknown'}). See slotcast doctor.`,
    );
    this.destroy();
  }

  /** Why nothing ran in what has ended. */
  #failure({ error }: WallsEnd): Fault {
    if (error !== null) return this.#unavailable(error.message);
    if (this.#refusal !== null) return this.#refusal;
    if (!this.#isReady) return this.#unavailable(Buffer.concat(this.#complaint).toString('utf8'));
    return new Fault('SANDBOX_UNAVAILABLE', 'The sandbox ended before the command could start.');
  }

  #report(text: string): void {
    for (const word of this.#reported.take(text)) {
      if (word === 'ready') this.#becomeReady();
      else if (word === 'pid') this.#begin();
      // A command ends once.
      else if (this.#waitStatus === null) {
        this.#waitStatus = word.waitStatus;
        this.#events?.dead();
      }
    }
  }

  /** Until the runner speaks, what comes on stderr may be a complaint of its walls. The two arrive on different sockets, in any order. */
  #stderr(data: Buffer): void {
    if (this.#isReady) {
      this.#events?.output('stderr', data);
      return;
    }
    this.#complaint.push(data);
    this.#complaintBytes += data.length;
    if (this.#complaintBytes > MAX_COMPLAINT_BYTES) this.destroy();
  }

  #begin(): void {
    this.#isRunning = true;
    this.#markRunning();
  }

  #becomeReady(): void {
    this.#isReady = true;
    for (const data of this.#complaint.splice(0)) this.#events?.output('stderr', data);
    this.#markReady();
  }

  #unavailable(said: string): Fault {
    const { reason, remedy } = explain(said, hiddenPaths(this.#spec.policy, this.#spec.place));
    return new Fault('SANDBOX_UNAVAILABLE', `The sandbox could not start, so nothing ran: ${reason}. ${remedy}`);
  }
}
