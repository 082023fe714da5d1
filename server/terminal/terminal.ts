// The slot's terminal: one for a lease, with a shell that is started on demand and may end and be started anew.
// It never lets two commands run at a time, and types nothing before the shell's first prompt.
import type { Call, Result } from '../../protocol/contract.ts';
import { Fault } from '../../protocol/fault.ts';
import { dependsOnMode, keyBytes } from '../../protocol/key.ts';
import type { Network, SlotInfo } from '../../protocol/slot.ts';
import type { TerminalRunResult } from '../../protocol/terminal.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { Keeper, KeptTerminal, Notes, SlotPlace } from '../keeper/keeper.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import { goOn, run } from './run.ts';
import { RunMarker } from './run-marker.ts';
import type { Typed } from './run-watch.ts';
import { Shell } from './shell.ts';
import { type KeyedRun, type NoteKeeper, type RunNote, TerminalNotes } from './terminal-note.ts';
import { Turn } from './turn.ts';
import { wait } from './wait.ts';

/** What a list shows of a command. */
const SHOWN_CHARS = 1000;

export interface TerminalOptions {
  readonly keeper: Keeper;
  readonly place: SlotPlace;
  readonly network: Network;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  /** Keeps what the next gateway has to know; without it none comes. */
  readonly note?: NoteKeeper;
  /** Told when info() or running have changed. */
  readonly changed?: () => void;
}

/** What a program that was killed with the former shell may have left on: the alternate screen, and modes, mouse and paste reports. */
const LEAVE_SCREEN = '\x1b[?1049l';
const SOFT_RESET = '\x1b[!p\x1b[?9;1000;1002;1003;1004;1005;1006;1015;2004l\r\n';

/** Waits for a regular expression at once: each takes a thread and some megabytes. */
const MAX_PATTERNS = 8;
/** Waits at once: each looks at the whole screen whenever that has changed. */
const MAX_WAITS = 64;

/** Each new size is a frame, and the program in the terminal draws its screen anew: as often as one can see. */
const RESIZE_MS = 50;

interface Size {
  readonly cols: number;
  readonly rows: number;
}

export class Terminal {
  /** The command that runs now, cut for people; null when none does. */
  running: string | null = null;
  readonly #options: TerminalOptions;
  readonly #turn = new Turn();
  #shell: Shell | null = null;
  #starting: Promise<Shell> | null = null;
  #size: Size;
  #wantedSize: Size;
  /** The time in which no other size is taken. */
  #resized: Promise<void> | null = null;
  #env: Readonly<Record<string, string>> = {};
  #title = '';
  /** Of the shell; the next one has it too, unless it is started with another. */
  #network: Network;
  #runs = 0;
  #shells = 0;
  #input: Promise<void> = Promise.resolve();
  #closed = false;
  /** What has to be done before a shell may start. */
  #held: Promise<unknown> | null = null;
  /** Tells that somebody waits for it. */
  #hurry: () => void = () => undefined;
  #patterns = 0;
  #waits = 0;

  readonly #notes: TerminalNotes;
  /** Results of runs that were asked for under a gateway before this one, by key. */
  readonly #former = new Map<string, { readonly print: string; readonly result: Promise<TerminalRunResult> }>();

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#notes = new TerminalNotes(options.note ?? (() => undefined));
    this.#network = options.network;
    this.#size = { cols: options.log.cols, rows: options.log.rows };
    this.#wantedSize = this.#size;
  }

  /** Goes on with what a gateway before this one has left, before the first frame of the log is told anew; `replay.done` resolves after the last. */
  adopt(kept: KeptTerminal | null, notes: Notes, replay: { readonly done: Promise<void>; hurry(): void }): void {
    const { shell, run: last, results } = this.#notes.former(notes);
    for (const [key, { print, result }] of results) this.#former.set(key, { print, result: Promise.resolve(result) });
    this.#runs = last?.number ?? 0;
    if (shell !== null) {
      this.#shells = shell.shells;
      this.#env = shell.env;
      this.#network = shell.network;
    }
    const adopted = shell && kept && Shell.adopt({ ...this.#shellOptions(), nonce: shell.nonce }, kept);
    if (adopted !== null) this.#use(adopted);
    const { log } = this.#options;
    this.#hurry = replay.hurry;
    this.#held = replay.done.then(() => {
      adopted?.catchUp();
      this.#size = { cols: log.cols, rows: log.rows };
      this.#wantedSize = this.#size;
      this.#held = null;
      this.#changed();
    });
    if (adopted !== null && last !== null) this.#goOn(adopted, last, this.#held);
  }

  /** Keeps the results of another terminal, whose keeper has died: a run that is asked for again was done, or is lost. */
  inherit(former: Terminal): void {
    this.#notes.inherit(former.#notes);
    for (const [key, known] of former.#former) {
      this.#former.set(key, known);
      void known.result.then(
        (result) => this.#notes.result({ key, print: known.print }, result),
        () => undefined,
      );
    }
  }

  /** The keyed runs of a gateway before this one. */
  formerKeys(): KeyedRun[] {
    return [...this.#former].map(([key, { print }]) => ({ key, print }));
  }

  /** For the list of slots; null when there is no shell. */
  info(): SlotInfo['terminal'] {
    return this.#shell === null ? null : { ...this.#size, title: this.#title };
  }

  /** Starts the shell when it is not there. Fault SANDBOX_UNAVAILABLE. */
  async start(call: Call<'terminal.start'>): Promise<Result<'terminal.start'>> {
    const started = this.#shell === null && this.#starting === null;
    if (started) {
      this.#size = { cols: call.cols, rows: call.rows };
      this.#env = call.env ?? {};
      this.#network = call.network ?? this.#options.network;
    }
    await this.#ready();
    return { ...this.#size, started, network: this.#network };
  }

  /** Runs a script to its end, after those that were asked for before. Faults TERMINAL_BUSY, CANCELLED, SANDBOX_UNAVAILABLE. */
  async run(
    call: Call<'terminal.run'>,
    signal: AbortSignal,
    keyed: KeyedRun | null = null,
  ): Promise<TerminalRunResult> {
    const former = keyed === null ? undefined : this.#former.get(keyed.key);
    if (former !== undefined && former.print === keyed?.print) {
      this.#hurry();
      return await former.result;
    }
    const release = await this.#turn.take(signal);
    try {
      const result = await this.#run(call, { signal, keyed });
      if (keyed !== null) this.#notes.result(keyed, result);
      return result;
    } finally {
      release();
    }
  }

  async write(data: string): Promise<void> {
    await this.#typed(async (shell) => () => shell.type(data));
  }

  /** Keys in tmux notation. */
  async keys(keys: readonly string[]): Promise<void> {
    await this.#typed(async (shell) => {
      const asks = keys.some(dependsOnMode);
      const mode = asks ? await this.#options.screen.modes() : { applicationCursor: false };
      return () => shell.type(keys.map((key) => keyBytes(key, mode)).join(''));
    });
  }

  /** The answer of the screen to what a program asked in that frame; not typing. */
  reply(data: string, seq: number): void {
    this.#shell?.answer(data, seq);
  }

  /** Of sizes that come faster than anybody can look, the last one counts. Resolves with the size that is in force then. */
  async resize(size: Call<'terminal.resize'>): Promise<Result<'terminal.resize'>> {
    await this.#ready();
    this.#wantedSize = size;
    if (this.#resized !== null) await this.#resized;
    const { cols, rows } = this.#wantedSize;
    if (cols !== this.#size.cols || rows !== this.#size.rows) {
      this.#size = { cols, rows };
      this.#shell?.resize(cols, rows);
      this.#changed();
      this.#resized = new Promise((resolve) => {
        setTimeout(resolve, RESIZE_MS).unref();
      });
      void this.#resized.then(() => {
        this.#resized = null;
      });
    }
    return { ...this.#size };
  }

  async capture(call: Call<'terminal.capture'>): Promise<Result<'terminal.capture'>> {
    await this.#ready();
    return await this.#options.screen.capture(call);
  }

  /** Faults TERMINAL_ENDED, CANCELLED. */
  async wait(call: Call<'terminal.wait'>, signal: AbortSignal): Promise<Result<'terminal.wait'>> {
    const isPattern = call.regex !== undefined;
    if (this.#waits >= MAX_WAITS || (isPattern && this.#patterns >= MAX_PATTERNS)) {
      const most = isPattern ? `${MAX_PATTERNS} waits for a regex` : `${MAX_WAITS} waits`;
      throw new Fault('RATE_LIMITED', `${most} run in this slot. Wait for one to end.`);
    }
    this.#waits++;
    if (isPattern) this.#patterns++;
    try {
      const { log, screen } = this.#options;
      return await wait({ shell: await this.#ready(), log, screen }, call, signal);
    } finally {
      this.#waits--;
      if (isPattern) this.#patterns--;
    }
  }

  /** Ends the shell and all that runs in it; the next call starts a new one. */
  async stop(): Promise<Result<'terminal.stop'>> {
    await this.#starting?.catch(() => undefined);
    const end = await this.#shell?.kill();
    return { exitCode: end?.exitCode ?? null };
  }

  /** As stop; no shell is started before `work` is done, whoever waits for one. */
  async stopFor(work: () => Promise<void>): Promise<void> {
    const done = this.stop().then(work);
    const held = done.catch(() => undefined);
    this.#held = held;
    try {
      await done;
    } finally {
      if (this.#held === held) this.#held = null;
    }
  }

  /** As stop, and no shell is started any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.stop();
  }

  async #run(
    call: Call<'terminal.run'>,
    { signal, keyed }: { readonly signal: AbortSignal; readonly keyed: KeyedRun | null },
  ): Promise<TerminalRunResult> {
    const { command, timeoutMs, maxOutputBytes } = call;
    const { log } = this.#options;
    const marker = new RunMarker(log);
    const begins = (): number => {
      marker.begin(`r${++this.#runs}`, command);
      this.#begun(command);
      return this.#runs;
    };
    const typed = { command: command.slice(0, SHOWN_CHARS), timeoutMs, maxOutputBytes, timedOutMs: null, keyed };
    let open: RunNote['open'] = null;
    const types = (line: Typed): void => {
      open = { ...typed, ...line, typedMs: log.timeMs() };
      this.#notes.run({ number: this.#runs, open });
    };
    const timesOut = (timedOutMs: number): void => {
      if (open !== null) this.#notes.run({ number: this.#runs, open: { ...open, timedOutMs } });
    };
    const order = { command, timeoutMs, maxOutputBytes, signal, begins, types, timesOut };
    try {
      for (;;) {
        const result = await run(await this.#ready(), { ...order, cols: this.#size.cols });
        if (result === null) continue;
        marker.end(result);
        return result;
      }
    } finally {
      marker.end(null);
      this.#runEnded();
    }
  }

  /** A run that was typed by a gateway before this one: its turn, its marker and its result are those of any other. */
  #goOn(shell: Shell, { number, open }: RunNote, replayed: Promise<unknown>): void {
    if (open === null) return;
    const { log } = this.#options;
    const { command, typedMs, keyed, ...typed } = open;
    const elapsedMs = Math.max(0, log.timeMs() - typedMs);
    const marker = new RunMarker(log);
    marker.goOn(`r${number}`, elapsedMs);
    this.#begun(command);
    const turn = this.#turn.take(new AbortController().signal);
    const timesOut = (timedOutMs: number): void => this.#notes.run({ number, open: { ...open, timedOutMs } });
    const result = goOn(
      shell,
      { ...typed, elapsedMs, timesOut },
      replayed.then(() => undefined),
    );
    if (keyed !== null) this.#former.set(keyed.key, { print: keyed.print, result });
    const end = async (): Promise<void> => {
      const release = await turn;
      try {
        marker.end(await result);
        if (keyed !== null) this.#notes.result(keyed, await result);
      } finally {
        marker.end(null);
        this.#runEnded();
        release();
      }
    };
    end().catch(() => undefined);
  }

  #begun(command: string): void {
    this.running = command.slice(0, SHOWN_CHARS);
    this.#changed();
  }

  #runEnded(): void {
    if (this.running === null) return;
    this.running = null;
    this.#notes.run({ number: this.#runs, open: null });
    this.#changed();
  }

  /** Types in the order of the calls, also when one of them has to ask for something first; who types next does not wait until it is read. */
  async #typed(prepare: (shell: Shell) => Promise<() => Promise<void>>): Promise<void> {
    const turn = this.#input.then(async () => {
      const type = await prepare(await this.#ready());
      return { typed: type() };
    });
    this.#input = turn.then(
      () => undefined,
      () => undefined,
    );
    await (await turn).typed;
  }

  /** The shell, at its first prompt at least. */
  async #ready(): Promise<Shell> {
    this.#hurry();
    while (this.#held !== null) await this.#held;
    if (this.#closed) throw new Fault('LEASE_LOST');
    if (this.#shell !== null) return this.#shell;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return await this.#starting;
  }

  async #start(): Promise<Shell> {
    const { log, screen } = this.#options;
    if (this.#shells++ > 0) log.append('o', screen.alternateScreen ? LEAVE_SCREEN + SOFT_RESET : SOFT_RESET);
    const nonce = Shell.newNonce();
    this.#notes.shell({ nonce, env: this.#env, network: this.#network, shells: this.#shells });
    const shell = await Shell.start({ ...this.#shellOptions(), nonce });
    this.#use(shell);
    return shell;
  }

  #shellOptions() {
    const { keeper, place, log, screen } = this.#options;
    return { keeper, place, network: this.#network, log, screen, ...this.#size, env: this.#env };
  }

  #use(shell: Shell): void {
    const { screen } = this.#options;
    this.#shell = shell;
    this.#title = screen.title;
    shell.listen((event) => {
      if (event.kind === 'end') this.#ended(shell);
      else if (screen.title !== this.#title) {
        this.#title = screen.title;
        this.#changed();
      }
    });
    if (shell.end !== null) this.#ended(shell);
    this.#changed();
  }

  #ended(shell: Shell): void {
    if (this.#shell !== shell) return;
    this.#shell = null;
    this.#changed();
  }

  #changed(): void {
    this.#options.changed?.();
  }
}
