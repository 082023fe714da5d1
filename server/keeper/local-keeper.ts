// The keeper itself: joins logs with their recordings and children with what they stand in, and ends all of it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { endLabel, isCommandStart, startLabel } from '../../protocol/command-mark.ts';
import { Fault } from '../../protocol/fault.ts';
import type { Capability } from '../../protocol/server.ts';
import { asNoSpace, CASTS_MODE, castDirectory, castPath, headerOf } from './cast-place.ts';
import { type Clock, systemClock } from './clock.ts';
import { DEFAULT_DISK_LIMITS, type DiskLimits, DiskWatch } from './disk-watch.ts';
import { Floods } from './flood.ts';
import { FrameLog } from './frame-log.ts';
import type {
  Keeper,
  KeptLease,
  KeptProcess,
  LogSpec,
  ProcessMarker,
  ProcessSpec,
  RecordingState,
  SlotPlace,
  TerminalSpec,
} from './keeper.ts';
import { OutputBudgets } from './output.ts';
import { emptyPlace, preparePlace } from './place.ts';
import { NEVER_BEGUN, startProcess } from './process.ts';
import { type PtyTerminal, startTerminal } from './pty.ts';
import { PtyStock } from './pty-start.ts';
import { type CastPlace, type Missing, Recorder } from './recorder.ts';
import { type Recovery, recoverCasts } from './recovery.ts';
import { RingBudget } from './ring-budget.ts';
import type { Cgroup } from './sandbox/cgroup.ts';
import { Housing } from './sandbox/housing.ts';
import { DEFAULT_LIMITS, type Limits, type Policy } from './sandbox/policy.ts';
import { probe } from './sandbox/probe.ts';
import { terminalCommand } from './sandbox/terminal-command.ts';
import { type Killable, Tenants } from './tenants.ts';
import { Unsealed } from './unsealed.ts';

/** Where what goes wrong without a caller is told: a recording that can't be written or recovered. */
export interface KeeperLog {
  error(detail: object, message: string): void;
}

export interface LocalKeeperOptions {
  readonly dataDir: string;
  /** Without limits: the default ones. */
  readonly policy: Omit<Policy, 'limits'> & { readonly limits?: Limits };
  /** Keeps what is typed in log and recording. */
  readonly recordInput?: boolean;
  /** strict: what runs in a slot is stopped when its recording can't be written, and nothing is started until it can. */
  readonly record?: 'strict' | 'best-effort';
  /** First user id of the slots, under root. */
  readonly uidBase?: number;
  readonly disk?: DiskLimits;
  /** Keeps little of the frames in memory: whoever looks has a copy of his own. */
  readonly smallRings?: boolean;
  readonly log: KeeperLog;
  readonly clock?: Clock;
}

interface OpenLog {
  readonly spec: LogSpec;
  readonly log: FrameLog;
  readonly recorder: Recorder;
}

export class LocalKeeper implements Keeper {
  #options: LocalKeeperOptions;
  readonly #clock: Clock;
  readonly #logs = new Map<string, OpenLog>();
  readonly #children = new Set<Killable>();
  readonly #budgets = new OutputBudgets();
  readonly #floods: Floods;
  readonly #rings: RingBudget | null;
  readonly #starting = new Set<Promise<unknown>>();
  readonly #disk: DiskWatch;
  readonly #housing: Housing;
  readonly #stock = new PtyStock();
  readonly #tenants = new Tenants((place) => this.#watch(place));
  readonly #unsealed = new Unsealed({
    isCommand: isCommandStart,
    failed: (error, path) => this.#tell(error, `the recording ${path} could not be recovered`),
  });
  /** In recordings that have ended. */
  #lostFrames = 0;
  #capabilities: Readonly<Record<string, Capability>> = {};
  #closing: Promise<void> | null = null;

  constructor(options: LocalKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#floods = new Floods(this.#clock);
    this.#rings = options.smallRings ? new RingBudget() : null;
    this.#housing = new Housing({
      dataDir: options.dataDir,
      policy: { limits: DEFAULT_LIMITS, ...options.policy },
      clock: this.#clock,
      failed: (error, message) => this.#tell(error, message),
    });
    this.#disk = new DiskWatch(options.dataDir, this.#options.disk ?? DEFAULT_DISK_LIMITS);
  }

  static async open(options: LocalKeeperOptions): Promise<LocalKeeper> {
    const keeper = new LocalKeeper(options);
    await keeper.start();
    return keeper;
  }

  get policy(): Policy {
    return this.#housing.policy;
  }

  get sandboxed(): boolean {
    return this.#housing.policy.sandbox === 'bwrap';
  }

  /** Ceilings of slots and sandboxes, by name. */
  get limits(): Readonly<Record<string, number>> {
    const { diskBytes, files, minFreeBytes } = this.#options.disk ?? DEFAULT_DISK_LIMITS;
    return { ...this.#housing.policy.limits, diskBytes, files, minFreeBytes };
  }

  /** To be awaited before anything else. Ends the recordings that a crash left open, and finds out what the host can do. */
  async start(): Promise<ReadonlyMap<string, Recovery>> {
    const { dataDir } = this.#options;
    const directory = castDirectory(dataDir);
    await mkdir(directory, { recursive: true, mode: CASTS_MODE });
    const failed = (error: unknown, file: string): void => {
      this.#unsealed.note(error, join(directory, file));
      this.#tell(error, `the recording ${file} could not be recovered`);
    };
    const recovered = await recoverCasts(directory, { isCommand: isCommandStart, failed });
    await this.#housing.open();
    await this.#probe();
    return recovered;
  }

  async #probe(): Promise<void> {
    const { groups, policy } = this.#housing;
    const how = { ...this.#uidBase(), ...(groups === null ? {} : { groups }) };
    this.#capabilities = await probe(policy, this.#options.dataDir, how);
    this.#housing.cells = this.#capabilities['cells']?.ok === true;
  }

  /** Other settings, for what is started from now on. The data directory stays the same. */
  async configure(options: Omit<LocalKeeperOptions, 'dataDir' | 'log' | 'clock'>): Promise<void> {
    const former = this.#housing.policy;
    this.#options = { ...this.#options, ...options };
    const policy = { limits: DEFAULT_LIMITS, ...options.policy };
    this.#housing.policy = policy;
    this.#disk.limits = this.#options.disk ?? DEFAULT_DISK_LIMITS;
    if (JSON.stringify(former) === JSON.stringify(policy)) return;
    await this.#housing.discard();
    await this.#probe();
  }

  capabilities(): Readonly<Record<string, Capability>> {
    return this.#capabilities;
  }

  async preparePlace(slot: string): Promise<SlotPlace> {
    const index = /^slot_(\d{1,5})$/.exec(slot)?.[1];
    if (index === undefined) throw new Error(`${slot} has no number, so it gets no user of its own`);
    return await preparePlace({ dataDir: this.#options.dataDir, slot, index: Number(index), ...this.#uidBase() });
  }

  async emptyPlace(place: SlotPlace): Promise<void> {
    await this.#housing.discard(place.slot);
    await emptyPlace(place);
    this.#disk.emptied(place);
  }

  spaceLeft(place: SlotPlace, wantedBytes: number): Promise<number> {
    return this.#disk.leftToWrite(place, wantedBytes);
  }

  spaceTaken(place: SlotPlace, bytes: number, files: number): void {
    this.#disk.added(place, { bytes, files });
  }

  async openLog(spec: LogSpec): Promise<FrameLog> {
    this.#refuseWhenClosing();
    const { cast, cols, rows } = spec;
    const { dataDir, recordInput = false } = this.#options;
    const clock = this.#clock;
    const log = new FrameLog({ cast, cols, rows, now: () => clock.now() });
    const stopped: { seq: number | null } = { seq: null };
    const recorder = await Recorder.open({
      log,
      path: castPath(dataDir, cast),
      header: headerOf(spec, clock.date()),
      clock,
      recordInput,
      isCommand: isCommandStart,
      failed: (error) => {
        this.#tell(error, `the recording ${cast} could not be written`);
        if (this.#isStrict) stopped.seq = this.#stop(spec.slot, log, UNRECORDED);
      },
      recovered: (missing) => this.#recovered(log, missing, stopped.seq),
    }).catch(asNoSpace);
    this.#logs.set(cast, { log, recorder, spec });
    this.#rings?.add(log);
    // Its beginning is on the disk: there is room.
    void this.#unsealed.seal();
    return log;
  }

  async flushLog(cast: string): Promise<void> {
    await this.#logs.get(cast)?.recorder.flush();
  }

  /** Where somebody who has every frame up to this one may begin to read the recording. */
  placeBefore(cast: string, seq: number): CastPlace {
    const open = this.#logs.get(cast);
    if (open === undefined) throw new Error(`there is no open log ${cast}`);
    return open.recorder.placeBefore(seq);
  }

  async closeLog(cast: string): Promise<void> {
    const open = this.#logs.get(cast);
    if (open === undefined) return;
    open.log.close();
    await open.recorder.close();
    if (this.#logs.delete(cast)) this.#lostFrames += open.recorder.lostFrames;
    // The next lease of the slot has a warden of its own.
    void this.#housing.discard(open.spec.slot);
    this.#rings?.remove(open.log);
  }

  recording(): RecordingState {
    const recorders = [...this.#logs.values()].map(({ recorder }) => recorder);
    return {
      failing: recorders.filter(({ failing }) => failing).length,
      lostFrames: recorders.reduce((sum, recorder) => sum + recorder.lostFrames, this.#lostFrames),
    };
  }

  async startProcess({ marker, ...spec }: ProcessSpec): Promise<KeptProcess> {
    this.#mark(marker, (process, command) => startLabel(process, command));
    const asked = this.#floods.asked(spec.place.slot);
    const starting = this.#start(() => this.#startProcess(spec));
    const process = await starting.catch((error: unknown) => {
      asked.end();
      this.#mark(marker, (name) => endLabel(name, NEVER_BEGUN));
      throw error;
    });
    void process.ended.then((end) => {
      this.#mark(marker, (name) => endLabel(name, end));
      asked.end();
    });
    return process;
  }

  /** Whoever has this keeper in his own process dies with it: no gateway comes after him. */
  note(): void {}

  takeKept(): KeptLease | null {
    return null;
  }

  keptSlots(): string[] {
    return [];
  }

  async startTerminal(spec: TerminalSpec): Promise<PtyTerminal> {
    return await this.#start(async () => {
      await this.#admit(spec.place);
      const group = await this.#housing.group(spec.place);
      return await this.#housed(spec.place, group, () => this.#startTerminal(spec, group).catch(asNoSpace));
    });
  }

  /** Kills everything, then seals every recording. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #startProcess({ place, network, order }: ProcessSpec): Promise<KeptProcess> {
    await this.#admit(place);
    const { sandbox, group } = await this.#housing.sandbox(place, network);
    const parts = { sandbox, order, budget: this.#budgets.of(place.slot), flow: this.#floods.flow(place.slot) };
    return await this.#housed(place, group, () => startProcess(parts));
  }

  /** Throws NO_SPACE when nothing may be started in the slot. */
  async #admit(place: SlotPlace): Promise<void> {
    this.#refuseUnrecorded(place.slot);
    await this.#disk.left(place);
  }

  /** What was started is watched, and its group goes when it has ended. */
  async #housed<T extends Killable>(place: SlotPlace, group: Cgroup | undefined, begin: () => Promise<T>): Promise<T> {
    try {
      const child = await begin();
      this.#tenants.moveIn(place, child);
      void child.ended.then(() => this.#housing.leave(group));
      // It may have begun to fail meanwhile.
      if (this.#isUnrecorded(place.slot)) void child.kill('disk');
      return child;
    } catch (error) {
      await this.#housing.leave(group);
      throw error;
    }
  }

  /** What runs in a slot is stopped when that takes too much of the disk. */
  #watch(place: SlotPlace): { close(): void } {
    const log = [...this.#logs.values()].find(({ spec }) => spec.slot === place.slot)?.log ?? null;
    const cast = log === null ? null : castPath(this.#options.dataDir, log.cast);
    return this.#disk.watch(place, cast, (why) => this.#stop(place.slot, log, why));
  }

  /** Stops what runs in a slot, for the sake of the disk. Gives the number of the marker that says why. */
  #stop(slot: string, log: FrameLog | null, why: string): number | null {
    const isOpen = log?.closed === false;
    if (isOpen) log.append('m', `stopped: ${why}`);
    const marker = isOpen ? log.lastSeq : null;
    this.#tenants.stop(slot);
    return marker;
  }

  get #isStrict(): boolean {
    return this.#options.record === 'strict';
  }

  #isUnrecorded(slot: string): boolean {
    const isFailing = ({ spec, recorder }: OpenLog): boolean => spec.slot === slot && recorder.failing;
    return this.#isStrict && [...this.#logs.values()].some(isFailing);
  }

  #refuseUnrecorded(slot: string): void {
    if (this.#isUnrecorded(slot)) throw new Fault('NO_SPACE', `Refused, since ${UNRECORDED}. It is tried again.`);
  }

  /** The recording is to say why it was stopped, also when that marker is among what is missing. */
  #recovered(log: FrameLog, { to, frames }: Missing, stoppedSeq: number | null): void {
    this.#tell({ frames }, `the recording ${log.cast} is written again; frames are missing in it`);
    if (stoppedSeq !== null && stoppedSeq <= to && !log.closed) log.append('m', `stopped: ${UNRECORDED}`);
  }

  async #startTerminal(spec: TerminalSpec, group: Cgroup | undefined): Promise<PtyTerminal> {
    const { place, network, argv, env, cast, cols, rows } = spec;
    const { recordInput = false } = this.#options;
    const open = this.#logs.get(cast);
    if (open === undefined) throw new Error(`there is no open log ${cast}`);
    const command = terminalCommand({ policy: this.policy, place, network, argv, env, group });
    const flow = this.#floods.flow(place.slot);
    const shared = { log: open.log, clock: this.#clock, cols, rows, command, recordInput, group, flow };
    const terminal = await startTerminal({ ...shared, stock: this.#stock, sandboxed: this.sandboxed });
    const pacing = open.recorder.pace(terminal);
    void terminal.ended.then(() => pacing.close());
    return terminal;
  }

  #mark(marker: ProcessMarker | undefined, label: (process: string, command: string) => string): void {
    const log = marker && this.#logs.get(marker.cast)?.log;
    if (log?.closed === false) log.append('m', label(marker?.process ?? '', marker?.command ?? ''));
  }

  /** Remembers what starts until it has ended, so that close() leaves nothing behind. */
  async #start<T extends Killable>(begin: () => Promise<T>): Promise<T> {
    this.#refuseWhenClosing();
    const starting = begin();
    this.#starting.add(starting);
    try {
      const child = await starting;
      this.#children.add(child);
      void child.ended.then(() => this.#children.delete(child));
      return child;
    } finally {
      this.#starting.delete(starting);
    }
  }

  async #close(): Promise<void> {
    await this.#housing.stop();
    await Promise.allSettled(this.#starting);
    this.#stock.close();
    await Promise.all([...this.#children].map((child) => child.kill()));
    this.#disk.close();
    await Promise.all([...this.#logs.keys()].map((cast) => this.closeLog(cast)));
    await this.#housing.close();
  }

  #uidBase(): Pick<LocalKeeperOptions, 'uidBase'> {
    return this.#options.uidBase === undefined ? {} : { uidBase: this.#options.uidBase };
  }

  #tell(err: unknown, message: string): void {
    this.#options.log.error({ err }, message);
  }

  #refuseWhenClosing(): void {
    if (this.#closing !== null) throw new Fault('SHUTTING_DOWN');
  }
}

/** Why nothing runs in a slot under --record strict. */
const UNRECORDED = "the recording can't be written, and nothing is to run unrecorded";
