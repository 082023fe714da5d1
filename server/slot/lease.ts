// The right to drive a slot. It belongs to whoever knows its resume secret, outlives a lost connection by the grace time, and owns what runs in the slot.
// Only one connection is bound to it at a time. Who takes it over drives it until it is given back: then its owner's secret counts again.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../../protocol/fault.ts';
import type { Network } from '../../protocol/slot.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Activity } from './activity.ts';
import type { CommandTable } from './command.ts';
import { KeyTable } from './key-table.ts';

/** An owner who asks from time to time whether the lease was given back does so within this, however short its grace time is. */
const RETURN_MS = 5_000;

/** Who is bound: one connection. */
export interface Holder {
  readonly id: string;
  close(code: number, reason: string): void;
}

/** What a lease is to the next gateway, which finds it by the slot. */
export const leaseNote = z.object({
  id: z.string(),
  /** ms since 1970. */
  since: z.number(),
  network: z.enum(['none', 'host']),
  graceMs: z.number(),
  resume: z.string(),
  owner: z.string().nullable(),
  key: z.string().nullable(),
});

export type LeaseNote = z.infer<typeof leaseNote>;

/** What is recorded of a lease, and what runs in it: all of it is lost with the keeper. */
export interface LeaseLife {
  readonly cast: string;
  readonly activity: Activity;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly terminal: Terminal;
  readonly commands: CommandTable;
  /** Resolves when the screen and the terminal are what they were under the gateway before this one, soon since somebody asks. */
  readonly ready: () => Promise<void>;
}

export interface LeaseParts {
  readonly slot: string;
  readonly label: string | null;
  /** How long who took it over may be away before it is given back. */
  readonly takeoverGraceMs: number;
  readonly life: LeaseLife;
  /** Noted already: a new one, or what a gateway before this one has left. */
  readonly standing: LeaseNote;
  /** A gateway before this one had it: somebody is to come back. */
  readonly adopted: boolean;
  /** Keeps the note for the next gateway, with that recording; null when the lease is over. */
  readonly note: (cast: string, note: LeaseNote | null) => void;
  /** Told of who drives, and whether anybody does. */
  readonly changed: () => void;
  /** Called when the grace time is over. */
  readonly expire: (lease: Lease) => void;
}

export class Lease {
  readonly id: string;
  readonly slot: string;
  readonly label: string | null;
  readonly network: Network;
  /** ms since 1970. */
  readonly since: number;
  readonly keys = new KeyTable();
  /** Why it is over; null while it holds. */
  endedBy: string | null = null;
  #life: LeaseLife;
  #resume: string;
  /** The owner's secret, kept aside while somebody else drives. */
  #owner: string | null;
  #ownerWaits = false;
  #holder: Holder | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #parts: LeaseParts;

  constructor(parts: LeaseParts) {
    const { id, network, since, resume, owner } = parts.standing;
    this.id = id;
    this.slot = parts.slot;
    this.label = parts.label;
    this.network = network;
    this.since = since;
    this.#life = parts.life;
    this.#resume = resume;
    this.#owner = owner;
    this.#parts = parts;
    if (parts.adopted) this.#awaitHolder();
  }

  get cast(): string {
    return this.#life.cast;
  }

  get activity(): Activity {
    return this.#life.activity;
  }

  get log(): FrameLog {
    return this.#life.log;
  }

  get screen(): LiveScreen {
    return this.#life.screen;
  }

  get terminal(): Terminal {
    return this.#life.terminal;
  }

  get commands(): CommandTable {
    return this.#life.commands;
  }

  /** To be awaited before screen and log are looked at. */
  get ready(): Promise<void> {
    return this.#life.ready();
  }

  /** Goes on with a new recording: what ran is lost with its keeper. */
  renew(life: LeaseLife): void {
    this.#life.activity.close();
    this.#life = life;
    this.#note();
    this.#changed();
  }

  /** Whether it is what a call with this key has made, and who made it still drives. */
  isOf(key: string): boolean {
    return (
      this.#parts.standing.key !== null && sameText(this.#parts.standing.key, key) && !this.ended && !this.takenOver
    );
  }

  get ended(): boolean {
    return this.endedBy !== null;
  }

  /** The secret of who drives. */
  get resume(): string {
    return this.#resume;
  }

  /** The secret that counts again once the lease is given back; null while its owner drives. */
  get ownerResume(): string | null {
    return this.#owner;
  }

  get takenOver(): boolean {
    return this.#owner !== null;
  }

  /** How long who drives may be away. */
  get graceMs(): number {
    return this.takenOver ? this.#parts.takeoverGraceMs : this.#parts.standing.graceMs;
  }

  get holder(): Holder | null {
    return this.#holder;
  }

  /** Binds a connection; one that was bound before is closed, since only one may drive. */
  bind(holder: Holder): void {
    if (this.ended) throw new Fault('LEASE_LOST');
    const former = this.#holder;
    this.#stopTimer();
    this.#holder = holder;
    this.#changed();
    if (former !== null && former !== holder) former.close(4409, `${this.slot} was taken over by another connection`);
  }

  /** Another party drives from now on; the owner's secret is kept aside, that of one who took over before is void. */
  takeOver(holder: Holder): void {
    if (this.ended) throw new Fault('LEASE_LOST');
    if (this.#owner === null) this.#ownerWaits = false;
    this.#owner ??= this.#resume;
    this.#resume = newSecret();
    this.#note();
    this.#mark('taken over');
    this.bind(holder);
  }

  /** The owner has asked for the lease while somebody else drives. */
  noteOwnerWaits(): void {
    this.#ownerWaits = true;
  }

  /** The owner's secret counts again, and the owner has the grace time to come back. INVALID_REQUEST when the owner drives. */
  giveBack(): void {
    if (this.ended) throw new Fault('LEASE_LOST');
    if (this.#owner === null) {
      throw new Fault('INVALID_REQUEST', `${this.slot} was not taken over. Release it, or close the connection.`);
    }
    this.#resume = this.#owner;
    this.#owner = null;
    this.#holder = null;
    this.#note();
    this.#mark('given back');
    const { graceMs } = this.#parts.standing;
    this.#awaitHolder(this.#ownerWaits ? Math.max(graceMs, RETURN_MS) : graceMs);
    this.#changed();
  }

  /** The connection is gone; the lease waits for a resume. */
  unbind(holder: Holder): void {
    if (this.#holder !== holder || this.ended) return;
    this.#holder = null;
    this.#awaitHolder();
    this.#changed();
  }

  /** It goes on under the next gateway: nothing of it is done here any more. */
  leave(): void {
    this.endedBy = 'the gateway is shutting down';
    this.activity.close();
    this.screen.close();
    this.#stopTimer();
    this.#holder = null;
  }

  /** No call gets through after it. */
  end(reason: string): void {
    if (this.ended) return;
    this.endedBy = reason;
    this.#parts.note(this.cast, null);
    this.activity.close();
    this.#stopTimer();
    this.#holder = null;
  }

  #awaitHolder(graceMs = this.graceMs): void {
    this.#stopTimer();
    const late = this.takenOver ? () => this.giveBack() : () => this.#parts.expire(this);
    this.#timer = setTimeout(late, graceMs);
  }

  #stopTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #changed(): void {
    this.#parts.changed();
  }

  /** What the next gateway has to know of it. */
  get standing(): LeaseNote {
    const { id, since, network } = this;
    const { graceMs, key } = this.#parts.standing;
    return { id, since, network, graceMs, key, resume: this.#resume, owner: this.#owner };
  }

  #note(): void {
    this.#parts.note(this.cast, this.standing);
  }

  #mark(label: string): void {
    if (!this.log.closed) this.log.append('m', label);
  }
}

export function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Of a new lease. */
export function newStanding(request: Pick<LeaseNote, 'network' | 'graceMs' | 'key'>): LeaseNote {
  const id = `lease_${randomBytes(9).toString('base64url')}`;
  return { id, since: Date.now(), resume: newSecret(), owner: null, ...request };
}

const newSecret = (): string => randomBytes(24).toString('base64url');
