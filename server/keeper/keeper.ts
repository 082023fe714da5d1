// The keeper's face to the rest of the server: it owns child processes, what they said, and the recordings.
// Only values and handles cross it, since a socket stands between the two sides: link/ has both ends of it.
import type { ExecExit, Limit, Outcome, SignalName } from '../../protocol/exec.ts';
import type { Capability } from '../../protocol/server.ts';
import type { Network } from '../../protocol/slot.ts';
import type { FrameLog } from './frame-log.ts';

/** Where a slot lives on this host. All paths are absolute and outside of what other slots can see. */
export interface SlotPlace {
  readonly slot: string;
  /** Shown read-write as /workspace. */
  readonly workspace: string;
  /** Shown read-write as /tmp in every sandbox of the slot. */
  readonly tmp: string;
  /** Shown read-only as /run/slotcast in the terminal; only the gateway writes here. */
  readonly spool: string;
  /** Files that file calls are writing, beside the workspace on its file system: the gateway's own, shown to nobody. */
  readonly drafts: string;
  /** Whom payloads run as; null when the gateway itself is an ordinary user. */
  readonly identity: Identity | null;
}

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** What to run; validated and complete. */
export interface ProcessOrder {
  /** `{command}` runs under bash -c whatever its length. */
  readonly run: { readonly command: string } | { readonly argv: readonly string[] };
  /** Absolute, as the payload sees it. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: Buffer | null;
  readonly stdin: 'closed' | 'open';
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Kept of each stream: half as head, half as tail. */
  readonly maxOutputBytes: number;
}

export interface ProcessEnd {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal: SignalName | null;
  readonly durationMs: number;
  readonly timedOutBy?: NonNullable<ExecExit['timedOutBy']>;
  readonly limit?: Limit;
}

/** What is kept of one stream. `total` counts every byte that was printed; head and tail meet when nothing was left out. */
export interface KeptOutput {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly total: number;
}

export type StreamName = 'stdout' | 'stderr';

/** Bytes printed. */
export type Totals = Readonly<Record<StreamName, number>>;

/** Gets what a process prints. While a returned promise is pending, that stream of the process is not read: its pipe fills up. */
export interface ProcessSink {
  chunk(stream: StreamName, data: Buffer, offset: number): void | Promise<void>;
}

export interface Subscription {
  close(): void;
}

export interface KeptProcess {
  /** ms since 1970. */
  readonly startedAt: number;
  /** null while it runs. Set once, after both pipes were drained and the whole tree is dead. */
  readonly end: ProcessEnd | null;
  readonly ended: Promise<ProcessEnd>;
  elapsedMs(): number;
  /** While it runs, as of the last refresh; after its end all of it. */
  output(stream: StreamName): KeptOutput;
  /** Brings the output up to now. Nothing happens after the end. */
  refresh(): Promise<void>;
  /** Bytes printed until now. */
  totals(): Promise<Totals>;
  /** What was kept from these offsets on, then what comes. */
  subscribe(sink: ProcessSink, from: Readonly<Record<StreamName, number>>): Subscription;
  /** Resolves when the pipe has taken it; false when stdin is closed. Fault RATE_LIMITED while too much is unread. */
  write(data: Buffer): Promise<boolean>;
  /** Resolves when it is done. */
  closeInput(): Promise<void>;
  /** Resolves when it was sent; false when the command had ended already. KILL takes the whole tree. */
  signal(name: SignalName): Promise<boolean>;
  /** Stops the whole tree, for the sake of a limit if one is named; resolves when it is dead. */
  kill(limit?: Limit): Promise<void>;
  /** Nobody will ask for it after a gateway has died. */
  forget(): void;
}

export interface TerminalSpec {
  readonly place: SlotPlace;
  readonly network: Network;
  readonly cast: string;
  readonly cols: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
  /** What runs on the pty, as the payload sees it. */
  readonly argv: readonly string[];
}

export interface TerminalEnd {
  readonly exitCode: number | null;
  /** Nobody knows how it ended: the keeper died. */
  readonly lost?: true;
}

/** What a terminal runs, as ids of this host; each null when there is none of it. */
export interface TerminalPids {
  /** What is on the pty. */
  readonly child: number;
  /** The first process in the sandbox. */
  readonly init: number | null;
}

/** What was known when a line that was typed had been answered. */
export interface Answered {
  /** Of the last frame. */
  readonly seq: number;
  /** The one that struck since the line was typed. */
  readonly limit: Limit | null;
}

/** A pty with a sandbox behind it. What it prints goes into the frame log of its cast as `o`, a resize as `r`, its end as `x`. */
export interface KeptTerminal {
  readonly pids: TerminalPids;
  readonly ended: Promise<TerminalEnd>;
  /** Raw bytes as typed, UTF-8, in the order of the calls. Fault TERMINAL_BUSY when too much of what was typed is not read. */
  write(data: string): Promise<void>;
  /**
   * The same for a line that is answered at once, mostly: what is printed is given out as one when `until` was. Resolves then; with null when it does not
   * come within some ms, and when the terminal has ended.
   */
  writeUntil(data: string, until: string): Promise<Answered | null>;
  /** What the terminal itself answers to a program that asks it. Dropped while earlier input waits: then nobody reads, and it would only be in the way of what is typed. */
  answer(data: string): void;
  resize(cols: number, rows: number): void;
  /** What owns the terminal now: the shell itself, or a job of it; null when that can't be told. */
  foreground(): 'shell' | 'job' | null;
  /** Sends a signal to the job in the foreground; nothing happens when the shell has it. */
  signalForeground(name: SignalName): void;
  /** The limit that struck since the last call of it, if one did. */
  struck(): Promise<Limit | undefined>;
  /** For the sake of a limit, if one is named. */
  kill(limit?: Limit): Promise<void>;
}

export interface LogSpec {
  readonly cast: string;
  readonly slot: string;
  readonly label: string | null;
  readonly cols: number;
  readonly rows: number;
}

/** A command as its recording names it: the keeper puts the markers of its start and its end. */
export interface ProcessMarker {
  readonly cast: string;
  /** p1, p2, … */
  readonly process: string;
  /** The command line, for people. */
  readonly command: string;
}

export interface ProcessSpec {
  readonly place: SlotPlace;
  readonly network: Network;
  readonly order: ProcessOrder;
  readonly marker?: ProcessMarker | undefined;
}

/** A lease that a gateway before this one has left behind: what was kept for it, and what goes on in it. */
export interface KeptLease {
  readonly spec: LogSpec;
  readonly place: SlotPlace;
  readonly log: FrameLog;
  readonly notes: Notes;
  /** Commands by name, in the order of their start. */
  readonly processes: ReadonlyMap<string, KeptProcess>;
  readonly terminal: KeptTerminal | null;
  /** Hands every frame so far to the log, the first ones first, and awaits `rest` now and then; resolves when the log is up to date. */
  replay(rest: () => Promise<void>): Promise<void>;
}

/** What a gateway wants the next one to know of a lease; to the keeper it means nothing. */
export type Notes = ReadonlyMap<string, string>;

/** `failing`: open recordings that the disk does not take now. `lostFrames`: in all recordings since the keeper began. */
export interface RecordingState {
  readonly failing: number;
  readonly lostFrames: number;
}

export interface Keeper {
  readonly sandboxed: boolean;
  /** What this host can and cannot do, each found by trying it in a real sandbox. */
  capabilities(): Readonly<Record<string, Capability>>;
  /** Makes the directories of a slot, owned by its identity. */
  preparePlace(slot: string): Promise<SlotPlace>;
  /** Empties workspace and /tmp. Nothing of the slot may run any more. */
  emptyPlace(place: SlotPlace): Promise<void>;
  /** Bytes that file calls may add to a slot. NO_SPACE when it holds too much, or too little is free on the host. */
  spaceLeft(place: SlotPlace, wantedBytes: number): Promise<number>;
  /** What a file call has added. */
  spaceTaken(place: SlotPlace, bytes: number, files: number): void;
  /** Begins the numbered frame log of a lease and its recording; with what the next gateway has to know from the first moment on. */
  openLog(spec: LogSpec, place: SlotPlace, notes?: Notes): Promise<FrameLog>;
  /** Resolves when the recording has every frame so far. */
  flushLog(cast: string): Promise<void>;
  /** Writes out and seals the recording; the log gets no frame after it. */
  closeLog(cast: string): Promise<void>;
  /** Keeps a note for the next gateway as long as the log is open; null forgets it. */
  note(cast: string, name: string, text: string | null): void;
  /** What is there of the slot's last lease, once: whoever asks has to go on with it, or to close its log. */
  takeKept(slot: string): KeptLease | null;
  /** Slots in which something was left that nobody has taken. */
  keptSlots(): string[];
  /** How recording goes, as of a few seconds ago. */
  recording(): RecordingState;
  startProcess(spec: ProcessSpec): Promise<KeptProcess>;
  startTerminal(spec: TerminalSpec): Promise<KeptTerminal>;
  close(): Promise<void>;
}
