// A slot's terminal: a sandbox on a pty whose output becomes frames of its log. What it says before the sandbox stands is never shown.
import type { Limit, SignalName } from '../../protocol/exec.ts';
import { Fault } from '../../protocol/fault.ts';
import type { FrameCode } from '../../protocol/frame.ts';
import type { Clock, Timer } from './clock.ts';
import { Coalescer } from './coalesce.ts';
import type { Flow } from './flood.ts';
import { Foreground, hasGroup, killSession, tryKill } from './foreground.ts';
import type { FrameLog } from './frame-log.ts';
import type { Answered, KeptTerminal, TerminalEnd, TerminalPids } from './keeper.ts';
import { struck } from './process.ts';
import { PtyChild, type PtyExit } from './pty-child.ts';
import type { PtyStock } from './pty-start.ts';
import type { Pausable } from './recorder.ts';
import { type Cgroup, NO_STRIKES, type Strikes } from './sandbox/cgroup.ts';
import type { TerminalCommand, TerminalLaunch } from './sandbox/terminal-command.ts';

/** A sandbox stands after some 10 ms; on a host that needs longer than this it never will. */
const START_MS = 10_000;
/** Complaints of bwrap are short; what prints more before it stands has to wait. */
const HELD_BYTES = 64 * 1024;

export interface TerminalOptions {
  readonly log: FrameLog;
  readonly clock: Clock;
  readonly cols: number;
  readonly rows: number;
  readonly command: TerminalCommand;
  readonly sandboxed: boolean;
  readonly group?: Cgroup | undefined;
  /** Without one it is read whatever else there is to do. */
  readonly flow?: Flow;
  readonly stock?: PtyStock | undefined;
  /** Adds what is typed to the log. */
  readonly recordInput: boolean;
}

/** Its recording is behind · others come first. */
type PauseReason = 'recording' | 'others';

/** Resolves when the payload runs, or has run. Rejects with SANDBOX_UNAVAILABLE when the sandbox did not stand, and then nothing ran. */
export async function startTerminal(options: TerminalOptions): Promise<PtyTerminal> {
  const terminal = new PtyTerminal(options);
  await terminal.started();
  return terminal;
}

export class PtyTerminal implements KeptTerminal, Pausable {
  readonly ended: Promise<TerminalEnd>;
  readonly #options: TerminalOptions;
  readonly #child: PtyChild;
  readonly #launch: TerminalLaunch;
  readonly #coalescer: Coalescer;
  /** Output from before the sandbox stands; null from then on. */
  #held: Buffer[] | null = [];
  #heldBytes = 0;
  readonly #pauses = new Set<PauseReason>();
  #exit: PtyExit | null = null;
  #foreground: Foreground | null = null;
  /** As told by struck(), and as it was at the end. */
  #strikes = NO_STRIKES;
  #lastCount = NO_STRIKES;
  /** For which it was ended. */
  #limit: Limit | undefined;

  constructor(options: TerminalOptions) {
    this.#options = options;
    const { clock, command, cols, rows, flow, stock } = options;
    this.#coalescer = new Coalescer({ clock, frame: (text) => this.#append('o', text) });
    this.#child = spawned({ ...command, clock, cols, rows, stock, output: (bytes) => this.#output(bytes) });
    this.#launch = command.launch((fd) => this.#child.pipe(fd));
    if (flow !== undefined) flow.changed = () => (flow.resting ? this.pause('others') : this.resume('others'));
    this.ended = this.#child.exited.then((exit) => this.#end(exit));
  }

  /** See startTerminal. */
  async started(): Promise<void> {
    const { command, clock } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<false>((resolve) => {
      timer = clock.after(START_MS, () => resolve(false));
    });
    const ran = await Promise.race([this.#launch.ran, late]);
    timer?.cancel();
    if (ran) return this.#show();
    await this.kill();
    const text = Buffer.concat(this.#held ?? []).toString();
    const { reason, remedy } = command.explain(text);
    throw new Fault(
      'SANDBOX_UNAVAILABLE',
      `The sandbox of the terminal could not start, so nothing ran: ${reason}. ${remedy}`,
    );
  }

  get pids(): TerminalPids {
    return { child: this.#child.pid, init: this.#launch.firstPid };
  }

  async write(data: string): Promise<void> {
    this.#type(data);
  }

  async writeUntil(data: string, until: string): Promise<Answered | null> {
    if (this.#exit !== null) return null;
    // What struck before is not of this line.
    this.#strikes = this.#counted();
    this.#type(data);
    const seen = await new Promise<boolean>((resolve) => this.#coalescer.hold(until, resolve));
    return seen ? { seq: this.#options.log.lastSeq, limit: (await this.struck()) ?? null } : null;
  }

  #type(data: string): void {
    if (!this.#child.write(data)) {
      throw new Fault(
        'TERMINAL_BUSY',
        'The program in the terminal does not read what is typed. End it by keys or a signal.',
      );
    }
    this.#coalescer.typed();
    this.#options.flow?.typed();
    if (!this.#options.recordInput || data === '') return;
    this.#coalescer.flush();
    this.#append('i', data);
  }

  answer(data: string): void {
    // Nothing waits, so there is room.
    if (!this.#child.inputWaits) this.#type(data);
  }

  resize(cols: number, rows: number): void {
    if (this.#exit !== null) return;
    this.#child.resize(cols, rows);
    this.#noteSize(cols, rows);
  }

  foreground(): 'shell' | 'job' | null {
    if (this.#exit !== null) return null;
    // What is around the sandbox may have been looked at before there was one.
    if (this.#foreground?.init !== this.pids.init) this.#foreground = null;
    this.#foreground ??= new Foreground(this.pids);
    return this.#foreground.owner();
  }

  signalForeground(name: SignalName): void {
    if (this.foreground() !== 'job') return;
    const group = this.#foreground?.group() ?? null;
    if (group !== null && hasGroup(this.#child.pid, group)) tryKill(-group, `SIG${name}`);
  }

  async struck(): Promise<Limit | undefined> {
    if (this.#limit !== undefined) return this.#limit;
    const now = this.#exit === null ? this.#counted() : this.#lastCount;
    const { memory, processes } = this.#strikes;
    this.#strikes = now;
    return struck({ memory: now.memory - memory, processes: now.processes - processes }).limit;
  }

  #counted(): Strikes {
    return this.#options.group?.strikes() ?? NO_STRIKES;
  }

  pause(reason: PauseReason = 'recording'): void {
    this.#pauses.add(reason);
    this.#child.pause();
  }

  /** The reason has gone; another one may still hold. */
  resume(reason: PauseReason = 'recording'): void {
    this.#pauses.delete(reason);
    if (this.#held === null && this.#pauses.size === 0) this.#child.resume();
  }

  /** The kernel takes everything in the sandbox with its first process. Without a sandbox, everything of the session. */
  async kill(limit?: Limit): Promise<void> {
    if (this.#exit !== null) return;
    this.#limit ??= limit;
    const { sandboxed } = this.#options;
    const init = this.#launch.firstPid;
    // Around the sandbox only when there is none yet: bwrap ends by itself, and after everything inside is dead.
    if (init === null || !tryKill(init, 'SIGKILL')) this.#child.kill();
    // Somebody on the host may have stopped bwrap, which is to tell of the end.
    else tryKill(this.#child.pid, 'SIGCONT');
    if (!sandboxed) killSession(this.#child.pid);
    await this.ended;
  }

  #show(): void {
    const held = this.#held ?? [];
    this.#held = null;
    const { cols, rows } = this.#options;
    this.#noteSize(cols, rows);
    for (const bytes of held) this.#coalescer.push(bytes);
    if (this.#exit !== null) this.#close(this.#exit);
    else if (this.#pauses.size === 0) this.#child.resume();
  }

  #output(bytes: Buffer): void {
    this.#options.flow?.printed(bytes.length);
    if (this.#held === null) {
      this.#coalescer.push(bytes);
      return;
    }
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > HELD_BYTES) this.#child.pause();
  }

  #end(exit: PtyExit): TerminalEnd {
    this.#lastCount = this.#counted();
    this.#exit = exit;
    this.#options.flow?.close();
    if (this.#held === null) this.#close(exit);
    return { exitCode: exit.exitCode };
  }

  #close({ exitCode, signal }: PtyExit): void {
    this.#coalescer.end();
    // As a shell tells it: 128 and the number of the signal.
    this.#append('x', String(exitCode ?? 128 + signal));
  }

  #noteSize(cols: number, rows: number): void {
    const { log } = this.#options;
    if (cols === log.cols && rows === log.rows) return;
    this.#coalescer.flush();
    this.#append('r', `${cols}x${rows}`);
  }

  /** A terminal may outlive its recording for a moment: what it prints then is nobody's any more. */
  #append(code: FrameCode, data: string): void {
    const { log } = this.#options;
    if (!log.closed) log.append(code, data);
  }
}

function spawned(options: ConstructorParameters<typeof PtyChild>[0]): PtyChild {
  try {
    return new PtyChild(options);
  } catch {
    throw new Fault(
      'SANDBOX_UNAVAILABLE',
      'The host gives out no pseudo terminal, so nothing ran. See slotcast doctor.',
    );
  }
}
