// Starts sandboxes with the runner inside, for one command each. Must be called on the main thread: --die-with-parent is tied to the thread that spawns.
// What it starts either runs sandboxed as the policy says, or not at all.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Duplex, Readable, Writable } from 'node:stream';
import { Fault } from '../../../protocol/fault.ts';
import type { Network } from '../../../protocol/slot.ts';
import { statOf } from '../foreground.ts';
import type { ProcessOrder, SlotPlace, StreamName } from '../keeper.ts';
import { ETC_FILES, effectiveNetwork, FDS, MASKED, sandboxArgs } from './args.ts';
import { type Cgroup, NO_STRIKES, type Strikes } from './cgroup.ts';
import { hardLimits, innerLimit, outerLimit } from './limit.ts';
import { launchEnv } from './orphan.ts';
import { BASE_ENV, type Policy, SHOWN } from './policy.ts';
import { explain, hiddenPaths } from './reason.ts';
import { BOOT, orderText, RUNNER, RUNNER_STOP, RunnerReport, runnerFrame, runnerSignal } from './runner.ts';
import { seccompFilter } from './seccomp.ts';
import { parseStatus, type SandboxStatus } from './status.ts';

export interface SandboxSpec {
  readonly policy: Policy;
  readonly place: SlotPlace;
  readonly network: Network;
  /** Where its memory and processes are counted and limited. */
  readonly group?: Cgroup | undefined;
}

/** How a sandbox ended, by what can't be forged from inside: the runner's report and bwrap's. */
export interface SandboxEnd {
  /** The raw wait status of the payload; null when the runner couldn't tell. */
  readonly waitStatus: number | null;
  /** Of bwrap: 128 + n for a signal; null when it told none. */
  readonly exitCode: number | null;
}

export interface SandboxEvents {
  output(stream: StreamName, data: Buffer): void;
  /** The payload has ended and everything with it; what it printed and isn't read yet is less than a few hundred KiB. */
  dead(): void;
}

/** Where bwrap, prlimit and setpriv are looked up when the gateway itself was started without a PATH. */
const FALLBACK_PATH = '/usr/local/bin:/usr/bin:/bin';

/** What can be read of a command's stderr before the word that it has begun, which stands on another socket, is far less. */
const MAX_COMPLAINT_BYTES = 16 * 1024 * 1024;

/** The payload's own comes with its order. Without a locale Perl starts twice as fast. */
export const RUNNER_ENV = { PATH: FALLBACK_PATH };

export function launchPath(): string {
  return process.env['PATH'] || FALLBACK_PATH;
}

/** Starts a sandbox that waits for its order. */
export function startSandbox(spec: SandboxSpec): Sandbox {
  refuseRoot(spec.place);
  return new Sandbox(spec, spawned(spec));
}

/** A host that is out of processes or descriptors fails the spawn itself, in one of two ways. */
function spawned(spec: SandboxSpec): ChildProcess {
  let child: ChildProcess | undefined;
  try {
    child = spec.policy.sandbox === 'bwrap' ? spawnSandboxed(spec) : spawnBare(spec);
    if (child.stdio !== undefined) return child;
  } catch {
    // Told below.
  }
  child?.on('error', () => {});
  throw new Fault(
    'SANDBOX_UNAVAILABLE',
    'The sandbox could not start, so nothing ran: the gateway is out of processes or descriptors. Try again, or raise its limits (ulimit -u, -n).',
  );
}

/** Not even inside a user namespace: the kernel goes by the host's user id. */
export function refuseRoot(place: SlotPlace): void {
  if (process.getuid?.() === 0 && (place.identity === null || place.identity.uid === 0)) {
    throw new Fault('SANDBOX_UNAVAILABLE', 'A command never runs as root: the slot has no user id of its own.');
  }
}

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
  readonly stdin: Writable;
  readonly #child: ChildProcess;
  readonly #spec: SandboxSpec;
  readonly #control: Duplex;
  /** Resolves when the first process of the sandbox is known. */
  readonly #named: Promise<void>;
  readonly #reported = new RunnerReport();
  #statusText = '';
  #complaint: Buffer[] = [];
  #complaintBytes = 0;
  #events: SandboxEvents | null = null;
  #waitStatus: number | null = null;
  #isReady = false;
  #exited = false;
  /** What it could not be given, so that it did not run. */
  #refusal: Fault | null = null;
  #markReady: () => void = () => {};
  #markNamed: () => void = () => {};
  #markRunning: () => void = () => {};

  constructor(spec: SandboxSpec, child: ChildProcess) {
    this.#spec = spec;
    this.#child = child;
    this.stdin = pipeAt(child, 0);
    this.#control = pipeAt(child, FDS.control);
    for (const stream of child.stdio) stream?.on('error', () => {});
    this.#named = new Promise((resolve) => (this.#markNamed = resolve));
    const failure = this.#watch();
    this.ready = Promise.race([new Promise<void>((resolve) => (this.#markReady = resolve)), failure]);
    this.running = Promise.race([new Promise<void>((resolve) => (this.#markRunning = resolve)), failure]);
    this.joined = spec.group === undefined ? this.ready : this.#join(spec.group);
    for (const awaited of [this.ready, this.running, this.joined]) awaited.catch(() => {});
    this.closed = new Promise((resolve) => child.once('close', () => resolve(this.#end())));
    this.#control.write(runnerFrame(RUNNER));
  }

  /** How often a limit struck in it; to be asked before its group is closed. */
  strikes(): Strikes {
    return this.#spec.group?.strikes() ?? NO_STRIKES;
  }

  /** Its first process lives, as far as the kernel has told. */
  get alive(): boolean {
    const pid = this.#exited ? null : this.#firstPid();
    return pid !== null && statOf(pid)?.alive === true;
  }

  /** Gives the one order. It need not wait for `ready`. */
  run(order: ProcessOrder, events: SandboxEvents): void {
    this.#events = events;
    const { stdout } = this.#child;
    stdout?.on('data', (data: Buffer) => events.output('stdout', data));
    const piped = order.input !== null || order.stdin === 'open';
    const { policy, place } = this.#spec;
    const cwd = policy.sandbox === 'none' ? barePath(place, order.cwd) : order.cwd;
    const base = policy.sandbox === 'none' ? bareEnv(place) : BASE_ENV;
    const kill = policy.sandbox === 'none' ? 'tree' : 'own';
    const env = { ...base, PWD: cwd, ...order.env };
    const frame = runnerFrame(orderText({ kill, cwd, env, run: order.run, stdin: piped ? 'pipe' : 'null' }));
    if (this.#spec.group === undefined) this.#control.write(frame);
    else
      void this.joined.then(
        () => this.#control.write(frame),
        (error) => this.#refuse(error),
      );
    if (order.input !== null && order.input.length > 0) this.stdin.write(order.input);
    if (order.stdin === 'closed') this.stdin.end();
  }

  /** The runner has started nothing before its order, so that all it will start is in the group with it. */
  async #join(group: Cgroup): Promise<void> {
    await Promise.all([this.ready, this.#named]);
    const pid = this.#firstPid();
    if (pid !== null) await group.add(pid);
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

  /** The runner, as the host sees it; null as long as bwrap has not told. */
  #firstPid(): number | null {
    return this.#spec.policy.sandbox === 'bwrap' ? parseStatus(this.#statusText).childPid : (this.#child.pid ?? null);
  }

  stream(name: StreamName): Readable {
    return this.#child[name] as Readable;
  }

  /** To the process group of the command. */
  signal(number: number): void {
    if (!this.#exited) this.#control.write(runnerSignal(number));
  }

  /** Asks the runner to kill everything and hand over what is in the pipes. It may be too slow, or dead: then `destroy`. */
  stop(): void {
    if (!this.#exited) this.#control.write(RUNNER_STOP);
  }

  /** SIGKILL to the sandbox's first process: the kernel takes all others with it before bwrap ends. */
  destroy(): void {
    if (this.#exited) return;
    const { childPid } = parseStatus(this.#statusText);
    if (childPid === null || !killed(childPid)) this.#child.kill('SIGKILL');
    // Somebody on the host may have stopped bwrap, which is to tell of the end.
    else this.#child.kill('SIGCONT');
  }

  /** Rejects if the child ends before its runner was ready. */
  #watch(): Promise<never> {
    const child = this.#child;
    if (this.#spec.policy.sandbox === 'bwrap') {
      pipeAt(child, FDS.status).on('data', (data: Buffer) => {
        this.#statusText += data.toString('latin1');
        if (this.#firstPid() !== null) this.#markNamed();
      });
    } else this.#markNamed();
    this.#control.on('data', (data: Buffer) => this.#report(data.toString('latin1')));
    child.stderr?.on('data', (data: Buffer) => this.#stderr(data));
    child.once('exit', () => (this.#exited = true));
    const failure = new Promise<never>((_, reject) => {
      child.once('error', (error) => reject(this.#unavailable(`${error.message}`)));
      child.once('close', () => {
        if (this.#refusal !== null) reject(this.#refusal);
        else if (!this.#isReady) reject(this.#unavailable(Buffer.concat(this.#complaint).toString('utf8')));
        else reject(new Fault('SANDBOX_UNAVAILABLE', 'The sandbox ended before the command could start.'));
      });
    });
    failure.catch(() => {});
    return failure;
  }

  #report(text: string): void {
    for (const word of this.#reported.take(text)) {
      if (word === 'ready') this.#becomeReady();
      else if (word === 'pid') this.#markRunning();
      // A command ends once.
      else if (this.#waitStatus === null) {
        this.#waitStatus = word.waitStatus;
        this.#events?.dead();
      }
    }
  }

  /** Until the runner speaks, what comes on stderr may be bwrap's complaint. The two arrive on different sockets, in any order. */
  #stderr(data: Buffer): void {
    if (this.#isReady) {
      this.#events?.output('stderr', data);
      return;
    }
    this.#complaint.push(data);
    this.#complaintBytes += data.length;
    if (this.#complaintBytes > MAX_COMPLAINT_BYTES) this.destroy();
  }

  #becomeReady(): void {
    this.#isReady = true;
    for (const data of this.#complaint.splice(0)) this.#events?.output('stderr', data);
    this.#markReady();
  }

  #end(): SandboxEnd {
    const status: SandboxStatus =
      this.#spec.policy.sandbox === 'bwrap' ? parseStatus(this.#statusText) : { childPid: null, exitCode: null };
    return { waitStatus: this.#waitStatus, exitCode: status.exitCode };
  }

  #unavailable(said: string): Fault {
    const { reason, remedy } = explain(said, hiddenPaths(this.#spec.policy, this.#spec.place));
    return new Fault('SANDBOX_UNAVAILABLE', `The sandbox could not start, so nothing ran: ${reason}. ${remedy}`);
  }
}

/** Every entry of stdio is a pipe, which is a duplex socket in Node; the types know of five. */
function pipeAt(child: ChildProcess, fd: number): Duplex {
  return (child.stdio as readonly unknown[])[fd] as Duplex;
}

function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

function spawnSandboxed(spec: SandboxSpec): ChildProcess {
  const { policy, place } = spec;
  const hard = hardLimits();
  const [file = '', ...args] = [
    ...outerLimit(policy.limits, { ownUser: place.identity !== null, hard }),
    ...['bwrap', '--args', String(FDS.args), '--'],
    ...innerLimit(policy.limits, { grouped: spec.group !== undefined, hard }),
    ...BOOT,
  ];
  const data = sandboxData({ ...spec, terminal: false, env: RUNNER_ENV });
  const stdio = Array.from({ length: 10 }, () => 'pipe' as const);
  const child = spawn(file, args, { env: launchEnv(launchPath()), cwd: '/', stdio, ...place.identity });
  if (child.stdio === undefined) return child;
  for (const [name, bytes] of Object.entries(data)) {
    pipeAt(child, FDS[name as keyof typeof data]).end(bytes);
  }
  return child;
}

/** --sandbox none: the same runner, as the slot's user, without walls. */
function spawnBare({ policy, place }: SandboxSpec): ChildProcess {
  const [file = '', ...args] = [
    ...outerLimit(policy.limits, { ownUser: place.identity !== null, hard: hardLimits() }),
    ...BOOT,
  ];
  return spawn(file, args, {
    env: launchEnv(launchPath()),
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
    ...place.identity,
  });
}

/** What bwrap reads from its descriptors. */
export function sandboxData(
  options: SandboxSpec & { terminal: boolean; env: Readonly<Record<string, string>> },
): Record<'args' | 'seccomp' | 'passwd' | 'group' | 'hosts', Buffer> {
  const network = effectiveNetwork(options.policy, options.network);
  return {
    args: Buffer.from(`${sandboxArgs({ ...options, masked: MASKED.filter((path) => existsSync(path)) }).join('\0')}\0`),
    seccomp: seccompFilter(),
    passwd: Buffer.from(ETC_FILES.passwd),
    group: Buffer.from(ETC_FILES.group),
    hosts: network === 'host' ? readFileSync('/etc/hosts') : Buffer.from(ETC_FILES.hosts),
  };
}

/** A sandbox path as it is on the host, for --sandbox none. */
export function barePath(place: SlotPlace, path: string): string {
  for (const name of ['workspace', 'spool', 'tmp'] as const) {
    const shown = SHOWN[name];
    if (path === shown || path.startsWith(`${shown}/`)) return place[name] + path.slice(shown.length);
  }
  return path;
}

/** Who runs as themselves keep their PATH; a slot's own user could not even read parts of root's. */
export function bareEnv(place: SlotPlace): Record<string, string> {
  const path = place.identity === null ? { PATH: launchPath() } : {};
  return { ...BASE_ENV, ...path, HOME: place.workspace, TMPDIR: place.tmp };
}
