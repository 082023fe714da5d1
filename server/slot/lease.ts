// The right to drive a slot. It belongs to whoever knows its resume secret, outlives a lost connection by the grace time, and owns what runs in the slot.
// Only one connection is bound to it at a time. Who takes it over drives it until it is given back: then its owner's secret counts again.
import { randomBytes } from 'node:crypto';
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

export interface LeaseParts {
  readonly slot: string;
  readonly cast: string;
  readonly label: string | null;
  readonly network: Network;
  readonly graceMs: number;
  /** How long who took it over may be away before it is given back. */
  readonly takeoverGraceMs: number;
  readonly activity: Activity;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly terminal: Terminal;
  readonly commands: CommandTable;
  /** Told of who drives, and whether anybody does. */
  readonly changed: () => void;
  /** Called when the grace time is over. */
  readonly expire: (lease: Lease) => void;
}

export class Lease {
  readonly id = `lease_${randomBytes(9).toString('base64url')}`;
  readonly slot: string;
  readonly cast: string;
  readonly label: string | null;
  readonly network: Network;
  readonly activity: Activity;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly terminal: Terminal;
  readonly commands: CommandTable;
  readonly keys = new KeyTable();
  /** Why it is over; null while it holds. */
  endedBy: string | null = null;
  #resume = newSecret();
  /** The owner's secret, kept aside while somebody else drives. */
  #owner: string | null = null;
  #ownerWaits = false;
  #holder: Holder | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #graceMs: number;
  readonly #takeoverGraceMs: number;
  readonly #changed: () => void;
  readonly #expire: (lease: Lease) => void;

  constructor(parts: LeaseParts) {
    this.slot = parts.slot;
    this.cast = parts.cast;
    this.label = parts.label;
    this.network = parts.network;
    this.activity = parts.activity;
    this.log = parts.log;
    this.screen = parts.screen;
    this.terminal = parts.terminal;
    this.commands = parts.commands;
    this.#graceMs = parts.graceMs;
    this.#takeoverGraceMs = parts.takeoverGraceMs;
    this.#changed = parts.changed;
    this.#expire = parts.expire;
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
    return this.takenOver ? this.#takeoverGraceMs : this.#graceMs;
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
    this.#mark('given back');
    this.#awaitHolder(this.#ownerWaits ? Math.max(this.#graceMs, RETURN_MS) : this.#graceMs);
    this.#changed();
  }

  /** The connection is gone; the lease waits for a resume. */
  unbind(holder: Holder): void {
    if (this.#holder !== holder || this.ended) return;
    this.#holder = null;
    this.#awaitHolder();
    this.#changed();
  }

  /** No call gets through after it. */
  end(reason: string): void {
    if (this.ended) return;
    this.endedBy = reason;
    this.activity.close();
    this.#stopTimer();
    this.#holder = null;
  }

  #awaitHolder(graceMs = this.graceMs): void {
    this.#stopTimer();
    const late = this.takenOver ? () => this.giveBack() : () => this.#expire(this);
    this.#timer = setTimeout(late, graceMs);
  }

  #stopTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #mark(label: string): void {
    if (!this.log.closed) this.log.append('m', label);
  }
}

const newSecret = (): string => randomBytes(24).toString('base64url');
