// The keeper as the gateway sees it, at the other end of a socket: finds or starts it, mirrors what it has, and notices its death, after which
// it starts a new one. It never invents how something ended.
import { setTimeout as delay } from 'node:timers/promises';
import { Fault } from '../../../protocol/fault.ts';
import type { NumberedFrame } from '../../../protocol/frame.ts';
import type { Capability } from '../../../protocol/server.ts';
import { tryKill } from '../foreground.ts';
import type {
  Keeper,
  KeptLease,
  KeptProcess,
  KeptTerminal,
  LogSpec,
  Notes,
  ProcessSpec,
  RecordingState,
  SlotPlace,
  TerminalSpec,
} from '../keeper.ts';
import type { KeeperLog } from '../local-keeper.ts';
import type { CastPlace } from '../recorder.ts';
import { tryAgain } from './again.ts';
import type { Attached, Greeting, KeeperSettings, News, WireLease, WireProcess, WireTerminal } from './contract.ts';
import { MirrorLog } from './mirror-log.ts';
import { accepted, KeeperError, KeeperGone, reachKeeper } from './reach.ts';
import { keeperDied, RemoteLink } from './remote-link.ts';
import { RemoteProcess } from './remote-process.ts';
import { RemoteTerminal } from './remote-terminal.ts';

/** A keeper that has not answered for so long is stopped or starved: the operator is told. */
const PING_MS = 5_000;
/** A keeper that does not listen to us any more is gone in a moment. */
const ATTACH_TRIES = 20;
const ATTACH_AGAIN_MS = 100;

export interface RemoteKeeperOptions {
  readonly settings: KeeperSettings;
  /** Of slotcast. */
  readonly version: string;
  readonly log: KeeperLog;
  /** The frames of a recording behind this place, oldest first, up to its end as it stands. */
  readonly readFrames: (cast: string, from: CastPlace) => AsyncIterable<readonly NumberedFrame[]>;
}

export class RemoteKeeper implements Keeper {
  /** Called when a keeper died and another one is there, and again when it rejects. Nothing that ran before does. */
  restarted: () => Promise<void> = async () => undefined;
  readonly #options: RemoteKeeperOptions;
  readonly #logs = new Map<string, MirrorLog>();
  readonly #processes = new Map<number, RemoteProcess>();
  readonly #terminals = new Map<number, RemoteTerminal>();
  /** Of what has ended before its start was answered. */
  readonly #early = new Map<number, News['processEnded'] | News['terminalEnded']>();
  /** By slot. */
  readonly #kept = new Map<string, KeptLease>();
  #link: RemoteLink | null = null;
  #attached: Attached | null = null;
  #pid = 0;
  /** Whether this gateway has started it. */
  #isOurs = false;
  #leaving = false;
  #restart: Promise<void> | null = null;
  readonly #pings: NodeJS.Timeout;
  #recording: RecordingState = { failing: 0, lostFrames: 0 };
  /** A ping that has no answer yet. */
  #pinging = false;
  #isSilent = false;

  private constructor(options: RemoteKeeperOptions) {
    this.#options = options;
    this.#pings = setInterval(() => void this.#ping(), PING_MS).unref();
  }

  /** Finds the keeper of the data directory, or starts one. Throws KeeperError. */
  static async open(options: RemoteKeeperOptions): Promise<RemoteKeeper> {
    const keeper = new RemoteKeeper(options);
    try {
      await keeper.#attachSoon();
    } catch (error) {
      clearInterval(keeper.#pings);
      throw error;
    }
    return keeper;
  }

  get sandboxed(): boolean {
    return this.#options.settings.policy.sandbox === 'bwrap';
  }

  get limits(): Readonly<Record<string, number>> {
    return this.#attached?.limits ?? {};
  }

  get pid(): number {
    return this.#pid;
  }

  get startedHere(): boolean {
    return this.#isOurs;
  }

  capabilities(): Readonly<Record<string, Capability>> {
    return { ...this.#attached?.capabilities, keeper: this.#standing() };
  }

  #standing(): Capability {
    const process = `process ${this.#pid}`;
    if (this.#link === null) {
      return { ok: false, detail: 'it has died, and no other one could be started yet', remedy: 'the log tells why' };
    }
    if (!this.#isSilent) return { ok: true, detail: `${process} runs what is in the slots` };
    const remedy = `if it was stopped, kill -CONT ${this.#pid}; else the host has no time left for it`;
    return { ok: false, detail: `${process} does not answer`, remedy };
  }

  async preparePlace(slot: string): Promise<SlotPlace> {
    return await this.#asked.call('preparePlace', { slot });
  }

  async emptyPlace(place: SlotPlace): Promise<void> {
    await this.#asked.call('emptyPlace', { place });
  }

  async spaceLeft(place: SlotPlace, wantedBytes: number): Promise<number> {
    return await this.#asked.call('spaceLeft', { place, wantedBytes });
  }

  spaceTaken(place: SlotPlace, bytes: number, files: number): void {
    // It was written, whatever became of the keeper since.
    this.#link?.tell('spaceTaken', { place, bytes, files });
  }

  async openLog(spec: LogSpec, place: SlotPlace, notes: Notes = new Map()): Promise<MirrorLog> {
    const log = this.#mirror(spec, 0);
    try {
      await this.#asked.call('openLog', { spec, place, notes: [...notes] });
    } catch (error) {
      this.#logs.delete(spec.cast);
      throw error;
    }
    return log;
  }

  async flushLog(cast: string): Promise<void> {
    if (this.#logs.has(cast)) await this.#asked.call('flushLog', { cast });
  }

  async closeLog(cast: string): Promise<void> {
    const log = this.#logs.get(cast);
    if (log === undefined || this.#link === null) return;
    await this.#link.call('closeLog', { cast });
    // Nobody looks at what it has not been told yet.
    if (log.replaying) log.close();
    await log.reached(Number.POSITIVE_INFINITY);
  }

  recording(): RecordingState {
    return this.#recording;
  }

  note(cast: string, name: string, text: string | null): void {
    this.#link?.tell('note', { cast, name, text });
  }

  takeKept(slot: string): KeptLease | null {
    const kept = this.#kept.get(slot) ?? null;
    this.#kept.delete(slot);
    return kept;
  }

  /** Slots in which something was left that nobody has taken. */
  keptSlots(): string[] {
    return [...this.#kept.keys()];
  }

  async startProcess(spec: ProcessSpec): Promise<KeptProcess> {
    if (spec.marker !== undefined && !this.#logs.has(spec.marker.cast)) throw keeperDied();
    const link = this.#asked;
    const wire = await link.callUnless('startProcess', spec, () => null);
    // It may have run: that it did not must not be said.
    return wire === null ? RemoteProcess.lost(link) : this.#process(wire);
  }

  async startTerminal(spec: TerminalSpec): Promise<KeptTerminal> {
    const log = this.#logs.get(spec.cast);
    if (log === undefined) throw keeperDied();
    return this.#terminal(await this.#asked.call('startTerminal', spec), log);
  }

  /** Resolves when there is a keeper and, if one before it died, what has to go on with this one does; or after so long. */
  async settled(limitMs: number): Promise<void> {
    await Promise.race([this.#restart, delay(limitMs, undefined, { ref: false })]);
  }

  /** The keeper and all that runs go on. */
  leave(): void {
    this.#leaving = true;
    clearInterval(this.#pings);
    this.#link?.close();
  }

  /** Ends everything, and the keeper itself. */
  async close(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    clearInterval(this.#pings);
    // One that is just being started for one that died.
    await this.#restart;
    const link = this.#link;
    if (link === null) return;
    // Somebody may have stopped it.
    tryKill(this.#pid, 'SIGCONT');
    // The answer may not get through any more: then it has gone all the same.
    await link.call('close', null).catch(() => null);
    await link.closed;
  }

  get #asked(): RemoteLink {
    if (this.#link !== null) return this.#link;
    throw keeperDied();
  }

  /** One that is just ending is soon gone, and another one is started. */
  async #attachSoon(tries = ATTACH_TRIES): Promise<void> {
    await this.#attach().catch(async (error: unknown) => {
      const isEnding = error instanceof KeeperGone || (error instanceof Fault && error.fault === 'SHUTTING_DOWN');
      if (!isEnding || tries === 1) throw error;
      await delay(ATTACH_AGAIN_MS);
      await this.#attachSoon(tries - 1);
    });
  }

  async #attach(): Promise<void> {
    const { settings, version, log } = this.#options;
    const { socket, isNew } = await reachKeeper(settings.dataDir, version);
    const failed = (err: unknown, name: string): void =>
      log.error({ err }, `${name} of the keeper could not be handled`);
    let greet: (greeting: Greeting | 'closed') => void = () => undefined;
    const greeted = new Promise<Greeting | 'closed'>((resolve) => {
      greet = resolve;
    });
    const link = new RemoteLink({ socket, news: { ...this.#news(), greeting: (greeting) => greet(greeting) }, failed });
    void link.closed.then(() => greet('closed'));
    try {
      this.#pid = (await accepted(greeted, settings.dataDir)).pid;
      this.#attached = await link.call('attach', settings);
      this.#recording = this.#attached.recording;
    } catch (error) {
      if (error instanceof Fault && error.fault === 'SHUTTING_DOWN') await link.closed;
      link.destroy();
      throw error instanceof Fault && error.fault === 'SANDBOX_UNAVAILABLE' ? new KeeperError(error.message) : error;
    }
    this.#link = link;
    this.#isOurs = isNew;
    for (const lease of this.#attached.leases) this.#adopt(lease);
    void link.closed.then(() => this.#lost(link));
  }

  #news(): { readonly [N in Exclude<keyof News, 'chunk' | 'greeting'>]: (params: News[N]) => void } {
    return {
      frames: ({ cast, seq, frames }) => this.#logs.get(cast)?.add(seq, frames),
      behind: ({ cast }) => {
        const log = this.#logs.get(cast);
        if (log !== undefined) void this.#follow(log).catch((error: unknown) => this.#tell(error, cast));
      },
      logClosed: ({ cast }) => {
        this.#logs.get(cast)?.close();
        this.#logs.delete(cast);
      },
      processEnded: (news) => {
        const process = this.#processes.get(news.process);
        if (process === undefined) this.#early.set(news.process, news);
        else process.finish(news.end, news.output);
        this.#processes.delete(news.process);
      },
      terminalEnded: (news) => {
        const terminal = this.#terminals.get(news.terminal);
        if (terminal === undefined) this.#early.set(news.terminal, news);
        else terminal.finish(news.exitCode, news.seq);
        this.#terminals.delete(news.terminal);
      },
      said: ({ message, detail }) => this.#options.log.error({ err: detail }, `keeper: ${message}`),
    };
  }

  #mirror(spec: LogSpec, timeMs: number): MirrorLog {
    const { cast } = spec;
    const send = (code: NumberedFrame['code'], data: string): void => this.#link?.tell('append', { cast, code, data });
    const log = new MirrorLog({ spec, timeMs, send });
    this.#logs.set(cast, log);
    return log;
  }

  #process(wire: WireProcess): RemoteProcess {
    const process = new RemoteProcess(this.#asked, wire);
    const early = this.#early.get(wire.handle);
    this.#early.delete(wire.handle);
    if (early !== undefined && 'end' in early) process.finish(early.end, early.output);
    if (process.end === null) this.#processes.set(wire.handle, process);
    return process;
  }

  #terminal(wire: WireTerminal, log: MirrorLog): RemoteTerminal {
    const terminal = new RemoteTerminal(this.#asked, log, wire);
    const early = this.#early.get(wire.handle);
    this.#early.delete(wire.handle);
    const end = wire.end ?? (early !== undefined && 'seq' in early ? early : null);
    if (end !== null) terminal.finish(end.exitCode, end.seq);
    else this.#terminals.set(wire.handle, terminal);
    return terminal;
  }

  #adopt({ spec, place, timeMs, lastSeq, notes, processes, terminal }: WireLease): void {
    const log = this.#mirror(spec, timeMs);
    log.replaying = true;
    this.#kept.set(spec.slot, {
      spec,
      place,
      log,
      notes: new Map(notes),
      processes: new Map(processes.map(([name, wire]) => [name, this.#process(wire)])),
      terminal: terminal === null ? null : this.#terminal(terminal, log),
      replay: async (rest) => {
        await this.#follow(log, rest);
        await log.reached(lastSeq);
        log.replaying = false;
      },
    });
  }

  /** Frames come again after it; those that are only in the recording are read there. */
  async #follow(log: MirrorLog, rest: () => Promise<void> = async () => {}): Promise<void> {
    const { cast } = log;
    for (let skip = false; !log.closed; ) {
      const after = log.lastSeq;
      const place = await this.#asked.call('follow', { cast, after, skip }).catch((error: unknown) => {
        // It was closed meanwhile: nothing comes any more.
        this.#logs.delete(cast);
        log.close();
        throw error;
      });
      if (place === null) return;
      try {
        await log.addRecorded(this.#options.readFrames(cast, place), rest);
      } catch (error) {
        this.#tell(error, `the recording ${cast} could not be read`);
      }
      // What the recording does not have either is gone.
      skip = log.lastSeq === after;
    }
  }

  /** The keeper has gone without being asked to. Its sandboxes die with it. */
  #lost(link: RemoteLink): void {
    if (this.#leaving || this.#link !== link) return;
    this.#link = null;
    this.#options.log.error(
      { keeperPid: this.#pid },
      'the keeper has died, and everything that ran with it; what it said last stands in keeper.log.1',
    );
    for (const process of this.#processes.values()) process.lose();
    for (const terminal of this.#terminals.values()) terminal.lose();
    for (const log of this.#logs.values()) log.close();
    for (const map of [this.#processes, this.#terminals, this.#logs, this.#early, this.#kept]) map.clear();
    this.#restart = this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    await this.#tryAgain('a new keeper could not be started', () => this.#attach());
    const link = this.#link;
    // On a disk that is full no recording begins. When this keeper dies too, it is for the next one.
    await this.#tryAgain('what lives on could not go on with the new keeper', async () => {
      if (this.#link === link) await this.restarted();
    });
  }

  async #tryAgain(message: string, work: () => Promise<void>): Promise<void> {
    await tryAgain({ work, failed: (error) => this.#tell(error, message), isOver: () => this.#leaving });
  }

  async #ping(): Promise<void> {
    if (this.#link === null || this.#leaving) return;
    if (this.#pinging && !this.#isSilent) {
      this.#isSilent = true;
      this.#options.log.error({ keeperPid: this.#pid }, `the keeper has not answered for ${PING_MS / 1000} s`);
    }
    if (this.#pinging) return;
    this.#pinging = true;
    this.#recording = await this.#link.call('ping', null).catch(() => this.#recording);
    this.#pinging = false;
    this.#isSilent = false;
  }

  #tell(err: unknown, message: string): void {
    this.#options.log.error({ err }, message);
  }
}
