// One slot: a place on this host that one lease at a time drives. What a lease leaves behind is gone before the next one comes.
import { randomBytes } from 'node:crypto';
import { Fault } from '../../protocol/fault.ts';
import type { Network, SlotInfo } from '../../protocol/slot.ts';
import { COLS, ROWS } from '../../protocol/value.ts';
import { type FrameLog, RING_BYTES } from '../keeper/frame-log.ts';
import type { Keeper, KeptLease, SlotPlace } from '../keeper/keeper.ts';
import { LiveScreen } from '../screen/live-screen.ts';
import { Terminal } from '../terminal/terminal.ts';
import { Workspace } from '../workspace/workspace.ts';
import { Activity } from './activity.ts';
import { CommandTable, parsed } from './command.ts';
import { Lease, type LeaseLife, type LeaseNote, type LeaseParts, leaseNote, newStanding } from './lease.ts';
import type { Replay, Replays } from './replay.ts';

/**
 * While a recording is told anew, one at a time: of plain lines an emulator takes the last thousand in each stretch alone, so that a few long
 * stretches are drawn sooner than many.
 */
const REPLAY_RING_BYTES = 8 * RING_BYTES;

export interface SlotOptions {
  readonly name: string;
  readonly keeper: Keeper;
  /** The most that the operator allows. */
  readonly network: Network;
  readonly maxProcesses: number;
  readonly replays: Replays;
  /** How long who took the lease over may be away before it is given back. */
  readonly takeoverGraceMs: number;
  /** Told of everything that slot.list shows. */
  readonly changed: (slot: Slot) => void;
  /** Told of what went wrong with the slot itself. */
  readonly failed: (slot: Slot, error: unknown) => void;
}

export interface LeaseRequest {
  readonly label: string | null;
  readonly network: Network;
  readonly graceMs: number;
  /** Who asks again with it gets the lease that the first call made. */
  readonly key: string | null;
}

export class Slot {
  readonly name: string;
  state: SlotInfo['state'] = 'resetting';
  lease: Lease | null = null;
  #since = Date.now();
  #reason: string | null = null;
  #viewers = 0;
  #place: SlotPlace | null = null;
  /** One for all, so that writes to a file are done one after the other. */
  #workspace: Workspace | null = null;
  /** Resets and releases run one after the other. */
  #turn: Promise<void> = Promise.resolve();
  readonly #options: SlotOptions;

  constructor(options: SlotOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Goes on with the lease that a gateway before this one has left. Without one: makes the slot's place and empties it; free afterwards, or failed with its reason. */
  async open(): Promise<void> {
    const { keeper } = this.#options;
    const kept = keeper.takeKept(this.name);
    const note = leaseNote.safeParse(parsed(kept?.notes.get('lease')));
    if (kept !== null && note.success) {
      this.#adopt(kept, note.data);
      return;
    }
    this.#enter('resetting');
    await this.#toFree(async () => {
      if (kept !== null) await endKept(kept, keeper);
      this.#place = await keeper.preparePlace(this.name);
      this.#workspace = this.#newWorkspace(this.#place);
      await keeper.emptyPlace(this.#place);
    });
  }

  /**
   * A new keeper is there, since the one before has died: nothing runs any more. The lease goes on with what is on the disk, and a new recording.
   * When it rejects it may be called again.
   */
  async renew(): Promise<void> {
    await this.#inTurn(async () => {
      const { lease } = this;
      const place = this.#place;
      // One that is open is of the new keeper.
      if (lease === null || lease.ended || place === null || !lease.log.closed) return;
      const { commands, terminal } = lease;
      lease.screen.close();
      // Not closed: whoever calls it just now is to try again, and has not lost his lease.
      await terminal.stop();
      const life = await this.#newLife(lease, place, lease.standing);
      life.commands.inherit(commands);
      life.terminal.inherit(terminal);
      lease.renew(life);
    });
    if (this.state === 'failed') await this.open();
  }

  /** Leases the slot, which must be free. */
  async acquire(request: LeaseRequest): Promise<Lease> {
    const place = this.#place;
    if (this.state !== 'free' || place === null) throw new Fault('SLOT_BUSY', `${this.name} is ${this.state}.`);
    this.#enter('leased');
    try {
      await this.#inTurn(async () => {
        this.lease = await this.#newLease(request, place);
      });
    } catch (error) {
      this.#enter('free');
      throw error;
    }
    if (this.lease === null) throw new Fault('SHUTTING_DOWN');
    this.#since = this.lease.since;
    this.#options.changed(this);
    return this.lease;
  }

  /** Ends the lease: stops everything, seals the cast and, with reset, empties the place. */
  async release(reason: string, reset: boolean): Promise<void> {
    const { lease } = this;
    if (lease === null || lease.ended) return await this.#turn;
    lease.end(reason);
    this.#enter('resetting');
    await this.#toFree(async () => {
      await Promise.all([lease.commands.close(), lease.terminal.close()]);
      lease.screen.close();
      await this.#options.keeper.closeLog(lease.cast);
      this.lease = null;
      if (reset && this.#place !== null) await this.#options.keeper.emptyPlace(this.#place);
    });
  }

  /** Ends the lease, also one that is just being made. */
  async close(reason: string): Promise<void> {
    await this.#turn;
    await this.release(reason, true);
  }

  /** Stops everything and empties the place; the lease, if there is one, goes on. A failed slot gets another chance. */
  async reset(): Promise<void> {
    const { lease } = this;
    if (this.state === 'resetting') throw new Fault('SLOT_BUSY', `${this.name} is being reset already.`);
    if (this.state === 'leased' && lease === null)
      throw new Fault('SLOT_BUSY', `${this.name} is being leased just now.`);
    if (lease === null) return await this.open();
    this.#enter('resetting');
    await this.#inTurn(async () => {
      if (lease.ended) return;
      try {
        await lease.commands.stopAll();
        await lease.terminal.stopFor(async () => {
          if (this.#place !== null) await this.#options.keeper.emptyPlace(this.#place);
        });
        lease.log.append('m', 'slot reset');
        lease.log.append('o', BLANK);
      } finally {
        // Also when it could not be emptied: the caller is told, and may try again or release.
        if (!lease.ended) this.#enter('leased');
      }
    });
  }

  /** Counts a viewer until it is closed. */
  view(): { close(): void } {
    this.#viewers++;
    this.#options.changed(this);
    let open = true;
    return {
      close: () => {
        if (!open) return;
        open = false;
        this.#viewers--;
        this.#options.changed(this);
      },
    };
  }

  /** The files of the lease; SLOT_BUSY without one, since what is there then belongs to nobody. */
  get workspace(): Workspace {
    if (this.#workspace === null || this.state !== 'leased') {
      throw new Fault('SLOT_BUSY', `${this.name} is ${this.state}: its files can be reached while it is leased.`);
    }
    return this.#workspace;
  }

  info(): SlotInfo {
    const { lease } = this;
    return {
      slot: this.name,
      state: this.state,
      label: lease?.label ?? null,
      since: this.#since,
      cast: lease?.cast ?? null,
      viewers: this.#viewers,
      processes: lease?.commands.running ?? 0,
      running: lease?.terminal.running ?? lease?.commands.newest ?? null,
      runningSince: lease?.activity.runningSinceMs ?? null,
      commands: lease?.activity.commands ?? 0,
      last: lease?.activity.last ?? null,
      activeAt: lease?.activity.activeAtMs ?? null,
      terminal: lease?.terminal.info() ?? null,
      network: lease?.network ?? this.#options.network,
      connected: lease !== null && lease.holder !== null,
      takenOver: lease?.takenOver ?? false,
      ...(this.#reason === null ? {} : { reason: this.#reason }),
    };
  }

  #newWorkspace(place: SlotPlace): Workspace {
    const { keeper } = this.#options;
    const space = {
      left: (wantedBytes: number) => keeper.spaceLeft(place, wantedBytes),
      taken: (bytes: number, files: number) => keeper.spaceTaken(place, bytes, files),
    };
    return new Workspace({ root: place.workspace, owner: place.identity, space, drafts: place.drafts });
  }

  async #newLease({ label, network, graceMs, key }: LeaseRequest, place: SlotPlace): Promise<Lease> {
    const standing = newStanding({ network, graceMs, key });
    const life = await this.#newLife({ label, network }, place, standing);
    return this.#lease({ label, life, standing, adopted: false });
  }

  #lease(parts: Pick<LeaseParts, 'label' | 'life' | 'standing' | 'adopted'>): Lease {
    const { keeper, takeoverGraceMs } = this.#options;
    const expire = () =>
      void this.release('expired', true).catch((error: unknown) => this.#options.failed(this, error));
    const note = (cast: string, about: LeaseNote | null): void =>
      keeper.note(cast, 'lease', about && JSON.stringify(about));
    const changed = () => this.#options.changed(this);
    return new Lease({ slot: this.name, ...parts, takeoverGraceMs, note, changed, expire });
  }

  async #newLife(
    { label, network }: Pick<LeaseRequest, 'label' | 'network'>,
    place: SlotPlace,
    standing: LeaseNote,
  ): Promise<LeaseLife> {
    const spec = { cast: newCastId(), slot: this.name, label, cols: COLS.default, rows: ROWS.default };
    // In one: a gateway that dies in between would leave a log that is nobody's.
    const notes = new Map([['lease', JSON.stringify(standing)]]);
    const log = await this.#options.keeper.openLog(spec, place, notes);
    return { ...this.#life({ log, network, place, answeredSeq: 0 }), ready: () => Promise.resolve() };
  }

  /** What stands on a log: made before its first frame. */
  #life({ log, network, place, answeredSeq }: LifeParts): Omit<LeaseLife, 'ready'> {
    const { keeper, maxProcesses } = this.#options;
    const { cast } = log;
    const changed = () => this.#options.changed(this);
    const note = (name: string, text: string | null): void => keeper.note(cast, name, text);
    const reply = (data: string, seq: number): void => {
      note('answered', String(seq));
      terminal.reply(data, seq);
    };
    const activity = new Activity(log, { changed });
    const screen = new LiveScreen(log, { reply, answeredSeq });
    const terminal: Terminal = new Terminal({ keeper, place, network, log, screen, note, changed });
    const commands = new CommandTable({
      maxRunning: maxProcesses,
      start: (order, { network: commandNetwork, marker }) =>
        keeper.startProcess({ place, network: commandNetwork, order, marker: { cast, ...marker } }),
      note,
      changed,
    });
    return { cast, activity, log, screen, terminal, commands };
  }

  #adopt(kept: KeptLease, note: LeaseNote): void {
    const { log, notes, place } = kept;
    this.#place = place;
    this.#workspace = this.#newWorkspace(place);
    this.#workspace.sweep();
    const life = this.#life({ log, place, network: note.network, answeredSeq: Number(notes.get('answered') ?? 0) });
    life.commands.adopt(kept.processes, notes);
    const replay = this.#replay(kept, life.screen);
    life.terminal.adopt(kept.terminal, notes, replay);
    const { label } = kept.spec;
    const ready = (): Promise<void> => {
      replay.hurry();
      return replay.done;
    };
    const adopted = { ...life, ready };
    this.lease = this.#lease({ label, life: adopted, standing: note, adopted: true });
    for (const keyed of [...life.commands.formerKeys(), ...life.terminal.formerKeys()]) this.lease.keys.remember(keyed);
    this.#enter('leased');
    this.#since = note.since;
  }

  /** Begins later: everything that looks at the log is there then. */
  #replay(kept: KeptLease, screen: LiveScreen): Replay {
    const { log } = kept;
    const { done, hurry } = this.#options.replays.begin(async (rest) => {
      log.ringBytes = REPLAY_RING_BYTES;
      await kept.replay(async () => {
        await screen.keepUp();
        await rest();
      });
      await screen.keepUp(RING_BYTES);
      log.ringBytes = RING_BYTES;
    });
    // A recording that can't be read is no reason to lose a lease: what comes from now on is shown.
    return { done: done.catch((error: unknown) => this.#options.failed(this, error)), hurry };
  }

  /** Does the work in turn; the slot is free after it, or failed with the reason. */
  async #toFree(work: () => Promise<void>): Promise<void> {
    await this.#inTurn(async () => {
      try {
        await work();
        this.#reason = null;
        this.#enter('free');
      } catch (error) {
        this.lease = null;
        this.#reason = 'The slot could not be emptied. The log of the gateway says why; slot.reset tries again.';
        this.#enter('failed');
        this.#options.failed(this, error);
      }
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  #enter(state: SlotInfo['state']): void {
    this.state = state;
    this.#since = Date.now();
    this.#options.changed(this);
  }
}

interface LifeParts {
  readonly log: FrameLog;
  readonly place: SlotPlace;
  readonly network: Network;
  readonly answeredSeq: number;
}

/** What a lease left that had ended, or that no lease can be made of. */
export async function endKept(kept: KeptLease, keeper: Keeper): Promise<void> {
  const running = [...kept.processes.values(), ...(kept.terminal === null ? [] : [kept.terminal])];
  // At once: a terminal has ended only when its last frame is here.
  await Promise.all([kept.replay(async () => {}), ...running.map((one) => one.kill())]);
  await keeper.closeLog(kept.spec.cast);
}

/** Resets a terminal and forgets what stood above its screen. */
const BLANK = '\x1bc\x1b[3J';

/** Names sort by time of start; the random part keeps them unguessable enough not to collide. */
function newCastId(): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `cast_${stamp}-${randomBytes(5).toString('hex')}`;
}
