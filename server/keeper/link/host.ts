// The keeper's end of the link: gives one gateway after the other what the keeper owns, and keeps what a lease left behind until the next one
// comes. A gateway that goes, or says nonsense, changes nothing of what runs.
import type { Socket } from 'node:net';
import { Fault } from '../../../protocol/fault.ts';
import type { KeptProcess, KeptTerminal } from '../keeper.ts';
import { LocalKeeper } from '../local-keeper.ts';
import { type Attached, isSettings, type KeeperSettings, type News } from './contract.ts';
import { type Host, HostSession } from './host-session.ts';
import { KeptCast, KeptCommand } from './kept-cast.ts';

/** What went wrong while no gateway listened, for the next one. */
const MAX_SAID = 100;
/** A gateway that starts a keeper comes at once. */
const FIRST_MS = 30_000;
/** What commands that have ended printed, of all slots together: a gateway that lives has it too, so this is for the few of its last moments. */
const MAX_ENDED_BYTES = 4 * 1024 * 1024;
/** The same while there is no gateway, and nobody else has it: of thirty commands all that they keep when nothing is said. */
const MAX_UNTOLD_BYTES = 32 * 1024 * 1024;

export interface HostOptions {
  readonly dataDir: string;
  readonly version: string;
  /** Called when everything has ended. */
  readonly closed: () => void;
}

export class KeeperHost implements Host {
  readonly casts = new Map<string, KeptCast>();
  /** What a gateway has asked for that changes what there is, and is not done yet. */
  readonly #changing = new Set<Promise<unknown>>();
  readonly #options: HostOptions;
  readonly #commands = new Map<number, { readonly cast: KeptCast; readonly command: KeptCommand }>();
  readonly #terminals = new Map<number, KeptTerminal>();
  /** With output in memory, the first to end first. */
  readonly #ended = new Set<KeptCommand>();
  #endedBytes = 0;
  #maxEndedBytes = MAX_ENDED_BYTES;
  #handles = 0;
  #keeper: Promise<LocalKeeper> | null = null;
  #session: HostSession | null = null;
  #said: News['said'][] = [];
  #aloneMs = 0;
  #alone: NodeJS.Timeout | null;
  #closing: Promise<void> | null = null;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#alone = setTimeout(() => void this.close(), FIRST_MS);
  }

  /** For the `connection` event of a server. */
  readonly connect = (socket: Socket): void => {
    const session = new HostSession({ host: this, socket, version: this.#options.version });
    void session.closed.then(() => this.#left(session));
  };

  /** Makes this session the one that counts; the one before it is cut off. */
  async attach(session: HostSession, settings: KeeperSettings): Promise<{ keeper: LocalKeeper; attached: Attached }> {
    if (this.#closing !== null) throw new Fault('SHUTTING_DOWN');
    if (!isSettings(settings, this.#options.dataDir)) throw new Error('these are no settings of this keeper');
    await this.#refuseOther(settings);
    this.#stopAlone();
    const former = this.#session;
    this.#session = session;
    // It may be dead since it said its last words, or hang: then they lie here unread.
    await former?.leave();
    // What the former gateway had just asked for is known to this one.
    await this.#settled();
    const keeper = await this.#open(settings);
    this.#aloneMs = settings.aloneMs;
    for (const said of this.#said.splice(0)) session.say(said);
    const { sandboxed, limits } = keeper;
    const leases = [...this.casts.values()].map((cast) => cast.wire());
    const capabilities = keeper.capabilities();
    return { keeper, attached: { sandboxed, limits, capabilities, recording: keeper.recording(), leases } };
  }

  /** What lives was started with more than this gateway would allow it: it must not go on under a gateway that says otherwise. */
  async #refuseOther({ policy, dataDir }: KeeperSettings): Promise<void> {
    const former = (await this.#keeper?.catch(() => null))?.policy;
    if (former === undefined || this.casts.size === 0) return;
    const differs =
      former.sandbox !== policy.sandbox
        ? `--sandbox ${former.sandbox}`
        : former.network === 'host' && policy.network !== 'host'
          ? '--network host'
          : null;
    if (differs === null) return;
    throw new Fault(
      'SANDBOX_UNAVAILABLE',
      `what lives in the slots of ${dataDir} was started with ${differs}. Go on with that, or end the keeper and everything in its slots by kill ${process.pid}.`,
    );
  }

  /** Work after which there is something more, or less. */
  async change<T>(work: () => Promise<T>): Promise<T> {
    const done = work();
    this.#changing.add(done);
    try {
      return await done;
    } finally {
      this.#changing.delete(done);
    }
  }

  async #settled(): Promise<void> {
    while (this.#changing.size > 0) await Promise.allSettled(this.#changing);
  }

  /** Who goes on asking, seconds after it came, has what it was told then. */
  heard(): void {
    this.#maxEndedBytes = MAX_ENDED_BYTES;
    this.#shrinkEnded();
  }

  say(said: News['said']): void {
    if (this.#session !== null) this.#session.say(said);
    else if (this.#said.push(said) > MAX_SAID) this.#said.shift();
  }

  /** Ends everything. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Throws when there is no such log. */
  cast(id: string): KeptCast {
    const cast = this.casts.get(id);
    if (cast === undefined) throw new Error(`there is no open log ${id}`);
    return cast;
  }

  /** Throws when it has been forgotten. */
  command(handle: number): KeptCommand {
    const known = this.#commands.get(handle);
    if (known === undefined) throw new Error(`there is no command ${handle}`);
    return known.command;
  }

  /** The last one of its lease, also after its end: it may be asked which limit struck. null when there is another one since. */
  terminal(handle: number): KeptTerminal | null {
    return this.#terminals.get(handle) ?? null;
  }

  opened(parts: Pick<KeptCast, 'spec' | 'place' | 'log' | 'notes'>): void {
    this.casts.set(parts.spec.cast, new KeptCast(parts));
  }

  /** The log has been closed: nobody asks for what was in it any more. */
  forget(id: string): void {
    const cast = this.casts.get(id);
    if (cast === undefined) return;
    for (const { handle } of cast.commands) this.forgetCommand(handle);
    this.#forgetTerminal(cast);
    this.casts.delete(id);
  }

  #forgetTerminal({ terminal }: KeptCast): void {
    if (terminal !== null) this.#terminals.delete(terminal.handle);
  }

  started(cast: KeptCast, name: string, process: KeptProcess): KeptCommand {
    const command = new KeptCommand({ handle: ++this.#handles, name, process });
    cast.commands.add(command);
    this.#commands.set(command.handle, { cast, command });
    void process.ended.then((end) => {
      command.settle(end);
      // After the gateway has been told: it gets all of the output.
      setImmediate(() => this.#commands.has(command.handle) && this.#keepEnded(command));
    });
    return command;
  }

  /** Its end is not awaited; nobody asks for it any more. */
  forgetCommand(handle: number): void {
    const known = this.#commands.get(handle);
    if (known === undefined) return;
    const { cast, command } = known;
    this.#commands.delete(handle);
    cast.commands.delete(command);
    if (this.#ended.delete(command)) this.#endedBytes -= command.bytes;
  }

  startedTerminal(cast: KeptCast, kept: KeptTerminal): number {
    const handle = ++this.#handles;
    this.#forgetTerminal(cast);
    this.#terminals.set(handle, kept);
    cast.terminal = { handle, kept, end: null };
    void kept.ended.then(({ exitCode }) => {
      const end = { exitCode, seq: cast.log.lastSeq };
      if (cast.terminal?.handle === handle) cast.terminal = { handle, kept, end };
    });
    return handle;
  }

  #keepEnded(command: KeptCommand): void {
    this.#ended.add(command);
    this.#endedBytes += command.bytes;
    this.#shrinkEnded();
  }

  #shrinkEnded(): void {
    for (const oldest of this.#ended) {
      if (this.#endedBytes <= this.#maxEndedBytes) return;
      this.#ended.delete(oldest);
      this.#endedBytes -= oldest.bytes;
      oldest.shrink();
    }
  }

  async #open(settings: KeeperSettings): Promise<LocalKeeper> {
    if (this.#keeper !== null) {
      const keeper = await this.#keeper;
      await keeper.configure(settings);
      return keeper;
    }
    const error = (detail: object, message: string): void => {
      const { err } = detail as { err?: unknown };
      this.say({ message, detail: err instanceof Error ? (err.stack ?? err.message) : JSON.stringify(err ?? null) });
    };
    const opening = LocalKeeper.open({ ...settings, smallRings: true, log: { error } });
    this.#keeper = opening;
    opening.catch(() => {
      this.#keeper = null;
    });
    return await opening;
  }

  async #close(): Promise<void> {
    this.#stopAlone();
    const keeper = await this.#keeper?.catch(() => null);
    await keeper?.close();
    this.#options.closed();
  }

  async #left(session: HostSession): Promise<void> {
    if (this.#session !== session) return;
    this.#session = null;
    this.#maxEndedBytes = MAX_UNTOLD_BYTES;
    // The lease that it had just asked for lives on too.
    await this.#settled();
    if (this.#session !== null || this.#closing !== null) return;
    this.#stopAlone();
    // Without a lease there is nothing to live for.
    const aloneMs = this.casts.size === 0 ? 1 : this.#aloneMs;
    if (aloneMs > 0) this.#alone = setTimeout(() => void this.close(), aloneMs);
  }

  #stopAlone(): void {
    if (this.#alone !== null) clearTimeout(this.#alone);
    this.#alone = null;
  }
}
