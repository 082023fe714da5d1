// What gateway and keeper say to each other, by name: names and meanings may change only together with LINK_VERSION.
// A handle is a number that the keeper gave out; it means the same to every gateway that comes.
import type { Limit, SignalName } from '../../../protocol/exec.ts';
import type { FrameCode } from '../../../protocol/frame.ts';
import type { Capability } from '../../../protocol/server.ts';
import type { DiskLimits } from '../disk-watch.ts';
import type {
  Answered,
  LogSpec,
  ProcessEnd,
  ProcessSpec,
  RecordingState,
  SlotPlace,
  StreamName,
  TerminalPids,
  TerminalSpec,
  Totals,
} from '../keeper.ts';
import type { CastPlace } from '../recorder.ts';
import type { Policy } from '../sandbox/policy.ts';

/** What the operator wants of a keeper. */
export interface KeeperSettings {
  readonly dataDir: string;
  readonly policy: Policy;
  readonly record: 'strict' | 'best-effort';
  readonly recordInput: boolean;
  readonly uidBase: number;
  readonly disk: DiskLimits;
  /** How long it goes on without any gateway. */
  readonly aloneMs: number;
}

/** Whether what came is that, for a keeper of this directory: a keeper whose settings mean nothing would end what it has. */
export function isSettings(given: unknown, dataDir: string): given is KeeperSettings {
  const settings = given as KeeperSettings | null;
  const { policy, disk, aloneMs, uidBase } = settings ?? {};
  return (
    settings?.dataDir === dataDir &&
    (policy?.sandbox === 'bwrap' || policy?.sandbox === 'none') &&
    Array.isArray(policy.mounts) &&
    Object.values(policy.limits ?? { none: '' }).every(Number.isFinite) &&
    [disk?.diskBytes, disk?.files, disk?.minFreeBytes, aloneMs, uidBase].every(Number.isFinite)
  );
}

/** The first thing that a keeper says, in every version. */
export interface Greeting {
  readonly link: number;
  readonly version: string;
  readonly pid: number;
}

export interface KeptBytes {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  readonly total: number;
}

export type KeptStreams = Readonly<Record<StreamName, KeptBytes>>;

export interface WireProcess {
  readonly handle: number;
  readonly startedAt: number;
  readonly elapsedMs: number;
  /** Both null while it runs. */
  readonly end: ProcessEnd | null;
  readonly output: KeptStreams | null;
}

export interface WireTerminal {
  readonly handle: number;
  readonly pids: TerminalPids;
  /** null while it runs. `seq` is that of the last frame that it made. */
  readonly end: { readonly exitCode: number | null; readonly seq: number } | null;
}

/** A log that is open, with all that is in it. */
export interface WireLease {
  readonly spec: LogSpec;
  readonly place: SlotPlace;
  readonly timeMs: number;
  readonly lastSeq: number;
  readonly notes: readonly (readonly [string, string])[];
  readonly processes: readonly (readonly [name: string, WireProcess])[];
  readonly terminal: WireTerminal | null;
}

export interface Attached {
  readonly sandboxed: boolean;
  readonly capabilities: Readonly<Record<string, Capability>>;
  readonly limits: Readonly<Record<string, number>>;
  readonly recording: RecordingState;
  readonly leases: readonly WireLease[];
}

/** [time in ms, code, data]; data that is long comes as bytes of UTF-8, which Node makes many times faster than the encoder does. */
export type WireFrame = readonly [number, FrameCode, string | Uint8Array];

/** What the gateway asks, with the answer. */
export interface Calls {
  attach: [KeeperSettings, Attached];
  preparePlace: [{ readonly slot: string }, SlotPlace];
  emptyPlace: [{ readonly place: SlotPlace }, null];
  spaceLeft: [{ readonly place: SlotPlace; readonly wantedBytes: number }, number];
  openLog: [{ readonly spec: LogSpec; readonly place: SlotPlace; readonly notes: [string, string][] }, null];
  flushLog: [{ readonly cast: string }, null];
  closeLog: [{ readonly cast: string }, null];
  /** Frames after this one come from now on. Where some of them are only in the recording any more: where they stand in it, and none comes. */
  follow: [{ readonly cast: string; readonly after: number; readonly skip: boolean }, CastPlace | null];
  startProcess: [ProcessSpec, WireProcess];
  outputOf: [{ readonly process: number }, KeptStreams | null];
  totalsOf: [{ readonly process: number }, Totals];
  writeProcess: [{ readonly process: number; readonly data: Uint8Array }, boolean];
  closeInput: [{ readonly process: number }, null];
  signalProcess: [{ readonly process: number; readonly name: SignalName }, boolean];
  killProcess: [{ readonly process: number; readonly limit?: Limit | undefined }, null];
  startTerminal: [TerminalSpec, WireTerminal];
  writeTerminal: [{ readonly terminal: number; readonly data: string }, null];
  /** Answered when that text was printed, or when it wasn't within some ms. */
  writeTerminalUntil: [{ readonly terminal: number; readonly data: string; readonly until: string }, Answered | null];
  struckTerminal: [{ readonly terminal: number }, Limit | null];
  killTerminal: [{ readonly terminal: number; readonly limit?: Limit | undefined }, null];
  /** Answered by a keeper that is there. */
  ping: [null, RecordingState];
  /** Ends everything, and the keeper. */
  close: [null, null];
}

/** What the gateway says without an answer. One that is leaving may say it to nobody: what an agent must be able to rely on is a call. */
export interface Words {
  spaceTaken: { readonly place: SlotPlace; readonly bytes: number; readonly files: number };
  append: { readonly cast: string; readonly code: FrameCode; readonly data: string };
  note: { readonly cast: string; readonly name: string; readonly text: string | null };
  /** What is printed is wanted from these offsets on, under a name that the gateway chose. */
  subscribe: { readonly process: number; readonly as: number; readonly from: Readonly<Record<StreamName, number>> };
  unsubscribe: { readonly as: number };
  /** So many bytes of it have been used up: others may come. */
  taken: { readonly as: number; readonly stream: StreamName; readonly bytes: number };
  /** Nobody will ask for it any more. */
  forget: { readonly process: number };
  answerTerminal: { readonly terminal: number; readonly data: string };
  resizeTerminal: { readonly terminal: number; readonly cols: number; readonly rows: number };
  signalTerminal: { readonly terminal: number; readonly name: SignalName };
}

/** What the keeper says without being asked. */
export interface News {
  greeting: Greeting;
  /** `seq` is that of the first. */
  frames: { readonly cast: string; readonly seq: number; readonly frames: readonly WireFrame[] };
  /** Frames are gone that were not sent: ask to follow again. */
  behind: { readonly cast: string };
  logClosed: { readonly cast: string };
  chunk: { readonly as: number; readonly stream: StreamName; readonly data: Uint8Array; readonly offset: number };
  processEnded: { readonly process: number; readonly end: ProcessEnd; readonly output: KeptStreams };
  /** `seq`: of the last frame that it made. */
  terminalEnded: { readonly terminal: number; readonly exitCode: number | null; readonly seq: number };
  said: { readonly message: string; readonly detail: string };
}
