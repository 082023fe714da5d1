// One life of the slot's bash on its pty: knows from the marks whether it reads a command line, and repairs marks that were lost.
// It types nothing into a program: only what its callers ask for, and its own lines at a prompt.
import { randomBytes } from 'node:crypto';
import type { Limit } from '../../protocol/exec.ts';
import { Fault } from '../../protocol/fault.ts';
import type { Network } from '../../protocol/slot.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { Answered, Keeper, KeptTerminal, SlotPlace, TerminalEnd } from '../keeper/keeper.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import { AnswerLimit } from './answer-limit.ts';
import { type Mark, MarkScanner, promptEnd } from './mark.ts';
import { Prompt } from './prompt.ts';
import { rcText } from './rc.ts';
import { Spool } from './spool.ts';

/** The spool as a sandboxed shell sees it. */
const SPOOL_DIRECTORY = '/run/slotcast';
/** Too many to guess, few enough for marks that stand in every recording. */
const NONCE_BYTES = 8;
/** Time for the shell to read its rc again. */
const REPAIR_MS = 1000;
/** A cold sandbox and bash take some 30 ms; a host under load a hundred times that. */
const FIRST_PROMPT_MS = 15_000;
/** After a C-c the new prompt comes within a few ms. */
const CLEAR_MS = 250;
/** The same when it has first to get through a long line that was typed ahead. */
const CLEAR_AGAIN_MS = 1500;
/** What was typed ahead is echoed right after the prompt. */
const ECHO_MS = 30;
/** bash has turned on bracketed paste, so it reads a line; its marks would be here within this. */
const LOST_MARK_MS = 100;
/** Frames of one step; the log is read at every append, so there is seldom more than one. */
const READ_BYTES = 1024 * 1024;
const INTERRUPT = '\x03';
/** $? after it. */
const INTERRUPTED = 130;
/** bash turns it on whenever it begins to read a line. */
export const READS_LINE = '\x1b[?2004h';

/** prompt and continuation: the shell reads a line. busy: a command runs, or a prompt is being made. */
export type ShellState = 'busy' | 'prompt' | 'continuation';

export type ShellEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'mark'; readonly mark: Mark }
  /** The shell read a line and showed no mark: what it printed last was a prompt, and the marks are being put back. */
  | { readonly kind: 'repair' }
  | { readonly kind: 'end'; readonly end: TerminalEnd };

export interface ShellOptions {
  /** What makes its marks ours. */
  readonly nonce: string;
  readonly keeper: Keeper;
  readonly place: SlotPlace;
  readonly network: Network;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly cols: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
}

export class Shell {
  readonly spool: Spool;
  /** The spool as this shell sees it. */
  readonly directory: string;
  state: ShellState = 'busy';
  /** A command has begun and not ended, as far as the marks tell. */
  commandOpen = false;
  /** Set once. */
  end: TerminalEnd | null = null;
  /** The directory and status as of the last finished command. */
  cwd: string | null = null;
  status: number | null = null;
  /** Number of the frame in which a command last began or ended. */
  turnSeq = 0;
  readonly prompt = new Prompt();
  /** What is printed when it begins to read a command line. */
  readonly #ready: string;
  readonly #log: FrameLog;
  readonly #screen: LiveScreen;
  readonly #rc: string;
  readonly #scanner: MarkScanner;
  readonly #listeners = new Set<(event: ShellEvent) => void>();
  readonly #subscription: { close(): void };
  #seq: number;
  readonly #answers = new AnswerLimit();
  #kept: KeptTerminal | null = null;
  /** Enter was typed at the prompt and no mark has come since: the shell is about to be busy. */
  #entered = false;
  /** The command line may hold text. */
  #halfTyped = false;
  /** While it was busy something without an Enter at its end was typed; a prompt would get it. */
  #typedAhead = false;
  /** Since the command began: the next one may have the terminal when its end is read. */
  #typedInto = false;
  /** An end that came while a job had the terminal: true if the prompt follows, since a user's own hook may run a program before it. */
  #doubted: Mark | null = null;
  #lostMark: NodeJS.Timeout | null = null;
  /** One try to repair; the next one only after a mark was seen. */
  #repaired = false;

  /** Starts a shell and waits for its first prompt. Fault SANDBOX_UNAVAILABLE when there is none. */
  static async start(options: ShellOptions): Promise<Shell> {
    const shell = new Shell(options);
    try {
      await shell.#start(options);
      return shell;
    } catch (error) {
      await shell.kill();
      throw error;
    }
  }

  /** Goes on with a shell that a gateway before this one has started, before the first frame of its log is told anew. */
  static adopt(options: ShellOptions, kept: KeptTerminal): Shell {
    const shell = new Shell(options);
    shell.#use(kept);
    return shell;
  }

  /** For the next shell. */
  static newNonce(): string {
    return randomBytes(NONCE_BYTES).toString('hex');
  }

  private constructor(options: ShellOptions) {
    const { place, keeper, log, screen, nonce } = options;
    this.spool = new Spool(place.spool);
    this.directory = keeper.sandboxed ? SPOOL_DIRECTORY : place.spool;
    this.#rc = rcText({ nonce, directory: this.directory });
    this.#scanner = new MarkScanner(nonce);
    this.#ready = promptEnd(nonce);
    this.#log = log;
    this.#screen = screen;
    this.#seq = log.lastSeq;
    this.#subscription = log.listen(() => this.#read());
  }

  /** What the user types. Fault TERMINAL_BUSY when too much waits to be read. */
  async type(data: string): Promise<void> {
    if (data === '') return;
    const enters = /[\r\n\x03]/.test(data);
    this.#typedInto = true;
    if (this.state === 'busy' || enters) this.#typedAhead = !/[\r\n\x03]$/.test(data);
    if (this.state !== 'busy') {
      this.#entered ||= enters;
      this.#halfTyped = true;
    }
    if (this.end === null) await this.#kept?.write(data);
  }

  /** Bytes that are no typing: our own keys and lines. Dropped when the terminal takes no input any more. */
  send(data: string): void {
    if (this.end === null) void this.#kept?.write(data).catch(() => undefined);
  }

  /** The same for a line that is read at the prompt; what was known when the next prompt came, if it came at once. */
  async sendLine(line: string): Promise<Answered | null> {
    if (this.end !== null) return null;
    return (await this.#kept?.writeUntil(`${line}\r`, this.#ready).catch(() => null)) ?? null;
  }

  /**
   * What the terminal answers to what was asked in that frame. When the shell reads a line, or has since begun another command, who asked is
   * gone: the shell would take the answer for typing.
   */
  answer(data: string, seq: number): void {
    const isLate = this.end !== null || this.#log.replaying || seq < this.turnSeq;
    if (isLate || (this.state !== 'busy' && this.foreground() !== 'job') || !this.#answers.allows()) return;
    // Whether it is read, or will stand on the next command line, can't be told.
    this.#typedAhead = true;
    this.#kept?.answer(data);
  }

  /** C-c: the command, or the text on the command line, is given up; the shell is at its prompt only after it has shown a new one. */
  interrupt(): void {
    this.#entered = true;
    this.#typedAhead = false;
    this.send(INTERRUPT);
  }

  resize(cols: number, rows: number): void {
    if (this.end === null) this.#kept?.resize(cols, rows);
  }

  foreground(): 'shell' | 'job' | null {
    return this.end === null ? (this.#kept?.foreground() ?? null) : null;
  }

  signalForeground(name: 'TERM' | 'KILL'): void {
    if (this.end === null) this.#kept?.signalForeground(name);
  }

  /** The limit that struck in the terminal since the last call of it, if one did. */
  async struck(): Promise<Limit | undefined> {
    return await this.#kept?.struck();
  }

  /** Ends the shell and all that runs in it; resolves when it is dead. */
  async kill(): Promise<TerminalEnd | null> {
    await this.#kept?.kill();
    if (this.#kept !== null) this.#ended(await this.#kept.ended);
    this.#close();
    return this.end;
  }

  listen(listener: (event: ShellEvent) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  /** Whether the shell reads a command line, as far as the marks, what was typed and the kernel tell: while a job has the terminal a prompt is none. */
  get atPrompt(): boolean {
    return this.end === null && this.state === 'prompt' && !this.#entered && this.foreground() !== 'job';
  }

  /** At its prompt, with nothing on the command line. */
  get isClear(): boolean {
    return !this.#typedAhead && !this.#halfTyped && this.atPrompt;
  }

  /** A program has the whole screen. The mode alone doesn't say so: one that was killed leaves it behind. */
  get fullScreen(): boolean {
    return this.state === 'busy' && this.#screen.alternateScreen;
  }

  /** Waits until `holds`, which is asked after every event; false when the time is over, the call was aborted or the shell ended. */
  async until(holds: () => boolean, limit: { timeoutMs: number; signal?: AbortSignal }): Promise<boolean> {
    if (holds()) return true;
    if (this.end !== null || limit.signal?.aborted) return false;
    return await new Promise<boolean>((resolve) => {
      const settle = (value: boolean): void => {
        clearTimeout(timer);
        subscription.close();
        limit.signal?.removeEventListener('abort', giveUp);
        resolve(value);
      };
      const giveUp = (): void => settle(false);
      const timer = setTimeout(giveUp, limit.timeoutMs);
      const subscription = this.listen(() => {
        if (holds()) settle(true);
        else if (this.end !== null) settle(false);
      });
      limit.signal?.addEventListener('abort', giveUp);
    });
  }

  /** Makes the command line empty. False when the shell doesn't take it. */
  async clear(): Promise<boolean> {
    if (this.#typedAhead) await this.until(() => this.#halfTyped, { timeoutMs: ECHO_MS });
    this.#typedAhead = false;
    // C-c ends whatever line editing is in: a search, vi mode, an unfinished quote. A C-v before takes the first one for itself.
    for (const timeoutMs of [CLEAR_MS, CLEAR_AGAIN_MS]) {
      if (this.atPrompt && !this.#halfTyped) return true;
      const status = this.status;
      this.interrupt();
      if (await this.until(() => this.atPrompt && !this.#halfTyped, { timeoutMs })) {
        this.status = status;
        return true;
      }
    }
    return false;
  }

  /** Types the rc anew, for a shell that reads a line but shows no marks. True when it is at its prompt then. */
  async repair(): Promise<boolean> {
    await this.spool.writeRc(this.#rc);
    this.#emit({ kind: 'repair' });
    this.#entered = true;
    this.send(` . ${this.directory}/rc\r`);
    const prompted = await this.until(() => this.atPrompt, { timeoutMs: REPAIR_MS });
    this.spool.removeRc();
    return prompted;
  }

  async #start(options: ShellOptions): Promise<void> {
    const { keeper, place, network, log, cols, rows, env } = options;
    const argv = ['bash', '--noprofile', '--rcfile', `${this.directory}/rc`, '-i'];
    await this.spool.writeRc(this.#rc);
    try {
      this.#use(await keeper.startTerminal({ place, network, cast: log.cast, cols, rows, env, argv }));
      if (await this.until(() => this.atPrompt, { timeoutMs: FIRST_PROMPT_MS })) return;
    } finally {
      this.spool.removeRc();
    }
    const why =
      this.end === null ? 'showed no prompt in time' : `ended at once with ${this.end.exitCode ?? 'a signal'}`;
    throw new Fault('SANDBOX_UNAVAILABLE', `The terminal's shell ${why}. See slotcast doctor.`);
  }

  #use(kept: KeptTerminal): void {
    this.#kept = kept;
    void kept.ended.then((end) => this.#ended(end));
  }

  /** Every frame so far has been told anew: from here on the kernel says who has the terminal. */
  catchUp(): void {
    if (this.state === 'prompt' && this.foreground() === 'job') this.state = 'busy';
  }

  #read(): void {
    const read = this.#log.read(this.#seq, READ_BYTES);
    if ('from' in read) {
      this.#seq = read.to;
      return;
    }
    for (const frame of read) {
      this.#seq = frame.seq;
      if (frame.code === 'o') this.#printed(frame.data);
    }
  }

  #printed(chunk: string): void {
    for (const piece of this.#scanner.scan(chunk)) {
      if (typeof piece === 'string') this.#text(piece);
      else this.#mark(piece);
    }
  }

  #text(text: string): void {
    // What follows a prompt in an old frame was typed there.
    if (this.state !== 'busy' && (this.#typedAhead || this.#log.replaying)) this.#halfTyped = true;
    if (this.state === 'busy' && !this.#log.replaying && text.includes(READS_LINE)) this.#expectMark();
    this.prompt.see(text);
    this.#emit({ kind: 'text', text });
  }

  /** The shell tells the end of a command when it has the terminal again; what is said before may be the program's, which can find the nonce out. */
  #mark(mark: Mark): void {
    // Who had the terminal when an old frame came nobody knows any more.
    const isSure = this.#log.replaying || !this.commandOpen || this.#typedInto || this.foreground() !== 'job';
    const believed = mark.kind !== 'finished' || isSure;
    if (mark.kind === 'finished') this.#doubted = believed ? null : mark;
    if (!believed) return;
    const doubted = this.#doubted;
    if (doubted !== null && mark.kind === 'promptEnd' && this.foreground() !== 'job') {
      this.#doubted = null;
      this.#take(doubted);
    }
    this.#take(mark);
  }

  #take(mark: Mark): void {
    if (mark.kind === 'outputStart') this.#typedInto = false;
    if (mark.kind === 'finished' || mark.kind === 'outputStart') this.turnSeq = this.#seq;
    // A prompt is also redrawn with its text, after a resize for one: then nothing has ended since the last one.
    const interrupted = this.#entered && mark.kind === 'promptStart' && mark.status === INTERRUPTED;
    if (mark.kind === 'finished' || mark.kind === 'outputStart' || interrupted) {
      this.#halfTyped = false;
      this.#entered = false;
    }
    if (mark.kind === 'promptEnd') this.#forgetMark();
    this.#repaired = false;
    this.state = mark.kind !== 'promptEnd' ? 'busy' : mark.continuation ? 'continuation' : 'prompt';
    if (mark.kind !== 'promptEnd') this.commandOpen = mark.kind === 'outputStart';
    if (mark.kind === 'finished') this.cwd = mark.cwd ?? this.cwd;
    if (mark.kind === 'finished' || mark.kind === 'promptStart') this.status = mark.status ?? this.status;
    this.prompt.see(mark);
    this.#emit({ kind: 'mark', mark });
  }

  /** The shell, or a program in it, begins to read a line. Without a mark of ours, and with no job in front, the marks were lost. */
  #expectMark(): void {
    if (this.#lostMark || this.#repaired) return;
    this.#lostMark = setTimeout(() => {
      this.#lostMark = null;
      if (this.end !== null || this.state !== 'busy' || this.foreground() !== 'shell') return;
      this.#repaired = true;
      void this.repair().catch(() => undefined);
    }, LOST_MARK_MS);
  }

  #forgetMark(): void {
    if (this.#lostMark) clearTimeout(this.#lostMark);
    this.#lostMark = null;
  }

  #ended(end: TerminalEnd): void {
    if (this.end !== null) return;
    this.#read();
    const held = this.#scanner.flush();
    if (held !== '') this.#text(held);
    this.end = end;
    this.#emit({ kind: 'end', end });
    this.#close();
  }

  #emit(event: ShellEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #close(): void {
    this.#forgetMark();
    this.#subscription.close();
    this.#listeners.clear();
  }
}
