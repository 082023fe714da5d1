// The right to drive a slot. It belongs to whoever knows its resume secret, outlives a lost connection by the grace time, and owns what runs in the slot.
// Only one connection is bound to it at a time.
import { randomBytes } from 'node:crypto';
import { Fault } from '../../protocol/fault.ts';
import type { Network } from '../../protocol/slot.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { CommandTable } from './command.ts';
import { KeyTable } from './key-table.ts';

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
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly terminal: Terminal;
  readonly commands: CommandTable;
  /** Called when the grace time is over. */
  readonly expire: (lease: Lease) => void;
}

export class Lease {
  readonly id = `lease_${randomBytes(9).toString('base64url')}`;
  readonly slot: string;
  readonly cast: string;
  readonly label: string | null;
  readonly network: Network;
  readonly graceMs: number;
  readonly log: FrameLog;
  readonly screen: LiveScreen;
  readonly terminal: Terminal;
  readonly commands: CommandTable;
  readonly keys = new KeyTable();
  /** Why it is over; null while it holds. */
  endedBy: string | null = null;
  #resume = newSecret();
  #holder: Holder | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #expire: (lease: Lease) => void;

  constructor(parts: LeaseParts) {
    this.slot = parts.slot;
    this.cast = parts.cast;
    this.label = parts.label;
    this.network = parts.network;
    this.graceMs = parts.graceMs;
    this.log = parts.log;
    this.screen = parts.screen;
    this.terminal = parts.terminal;
    this.commands = parts.commands;
    this.#expire = parts.expire;
  }

  get ended(): boolean {
    return this.endedBy !== null;
  }

  get resume(): string {
    return this.#resume;
  }

  get holder(): Holder | null {
    return this.#holder;
  }

  /** Binds a connection; one that was bound before is closed, since only one may drive. */
  bind(holder: Holder): void {
    if (this.ended) throw new Fault('LEASE_LOST');
    const former = this.#holder;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#holder = holder;
    if (former !== null && former !== holder) former.close(4409, `${this.slot} was taken over by another connection`);
  }

  /** Another party drives from now on: the former secret is worth nothing any more. */
  takeOver(holder: Holder): void {
    this.#resume = newSecret();
    this.bind(holder);
  }

  /** The connection is gone; the lease waits for a resume. */
  unbind(holder: Holder): void {
    if (this.#holder !== holder || this.ended) return;
    this.#holder = null;
    this.#timer = setTimeout(() => this.#expire(this), this.graceMs);
  }

  /** No call gets through after it. */
  end(reason: string): void {
    if (this.ended) return;
    this.endedBy = reason;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#holder = null;
  }
}

const newSecret = (): string => randomBytes(24).toString('base64url');
