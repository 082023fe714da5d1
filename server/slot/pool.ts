// All slots of this host: who gets which, and news of every change.
import { Fault } from '../../protocol/fault.ts';
import type { SlotInfo } from '../../protocol/slot.ts';
import { noSuchSlot } from '../auth/scope.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { type Holder, type Lease, sameText } from './lease.ts';
import { Replays } from './replay.ts';
import { endKept, type LeaseRequest, Slot } from './slot.ts';

export interface PoolOptions {
  readonly keeper: Keeper;
  readonly count: number;
  /** Told of a slot that is none any more, whose lease is ended. */
  readonly dropped: (slot: string) => void;
  readonly network: 'none' | 'host';
  readonly maxProcesses: number;
  /** How long who took a lease over may be away before it is given back. */
  readonly takeoverGraceMs: number;
  readonly failed: (slot: Slot, error: unknown) => void;
}

export class Pool {
  readonly #slots: ReadonlyMap<string, Slot>;
  readonly #listeners = new Set<(slot: Slot) => void>();

  readonly #keeper: Keeper;
  readonly #dropped: (slot: string) => void;
  /** Calls with a key that have no lease yet. */
  readonly #acquiring = new Map<string, Promise<Lease>>();

  constructor(options: PoolOptions) {
    this.#keeper = options.keeper;
    this.#dropped = options.dropped;
    const { keeper, network, maxProcesses, takeoverGraceMs, failed } = options;
    const changed = (slot: Slot): void => {
      for (const listener of this.#listeners) listener(slot);
    };
    const replays = new Replays();
    const names = Array.from({ length: options.count }, (_, index) => `slot_${index}`);
    this.#slots = new Map(
      names.map((name) => [
        name,
        new Slot({ name, keeper, network, maxProcesses, replays, takeoverGraceMs, changed, failed }),
      ]),
    );
  }

  async open(): Promise<void> {
    await Promise.all(this.all().map((slot) => slot.open()));
    // There were more slots than there are.
    for (const name of this.#keeper.keptSlots()) {
      const kept = this.#keeper.takeKept(name);
      if (kept === null) continue;
      this.#dropped(name);
      await endKept(kept, this.#keeper);
    }
  }

  /** To be called when a keeper has died and another one is there; again when it rejects, which leaves what was done as it is. */
  async renew(): Promise<void> {
    const renewed = await Promise.allSettled(this.all().map((slot) => slot.renew()));
    const failed = renewed.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }

  all(): readonly Slot[] {
    return [...this.#slots.values()];
  }

  get(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw noSuchSlot(name);
    return slot;
  }

  list(): SlotInfo[] {
    return this.all().map((slot) => slot.info());
  }

  /** Leases the named slot, or any free one, and binds the holder; with a key that has made a lease, that one (`known`). */
  async acquire(
    name: string | undefined,
    request: LeaseRequest,
    holder: Holder,
  ): Promise<{ readonly lease: Lease; readonly known: boolean }> {
    const { key } = request;
    if (key === null) return { lease: await this.#acquire(name, request, holder), known: false };
    // The first call may still be at it.
    await this.#acquiring.get(key)?.catch(() => undefined);
    const made = this.all().find((slot) => (name === undefined || slot.name === name) && slot.lease?.isOf(key))?.lease;
    if (made) {
      made.bind(holder);
      return { lease: made, known: true };
    }
    const acquiring = this.#acquire(name, request, holder);
    this.#acquiring.set(key, acquiring);
    const lease = await acquiring.finally(() => this.#acquiring.delete(key));
    return { lease, known: false };
  }

  async #acquire(name: string | undefined, request: LeaseRequest, holder: Holder): Promise<Lease> {
    const slot = name === undefined ? this.all().find((candidate) => candidate.state === 'free') : this.get(name);
    if (slot === undefined) {
      const total = this.#slots.size;
      throw new Fault(
        'NO_FREE_SLOT',
        `All ${total} slots are in use. Wait for one to be released, or start the gateway with more --slots.`,
      );
    }
    const lease = await slot.acquire(request);
    lease.bind(holder);
    return lease;
  }

  /**
   * Binds the holder to the lease that this secret belongs to; `only`: the one slot that the holder may drive. SLOT_BUSY with `takenOver` for
   * its owner while somebody else drives it.
   */
  resume(secret: string, only: string | null, holder: Holder): Lease {
    const leases = this.all().flatMap(({ name, lease }) =>
      lease === null || lease.ended || (only !== null && only !== name) ? [] : [lease],
    );
    const waiting = leases.find(({ ownerResume }) => ownerResume !== null && sameText(ownerResume, secret));
    if (waiting !== undefined) {
      waiting.noteOwnerWaits();
      const message = `A person has taken ${waiting.slot} over and drives it now. It is given back later: try again.`;
      throw new Fault('SLOT_BUSY', message, { takenOver: true });
    }
    const lease = leases.find((candidate) => sameText(candidate.resume, secret));
    if (lease === undefined) {
      throw new Fault(
        'RESUME_GONE',
        'That lease is gone: released, expired, taken over, or lost with gateway and keeper. Acquire a slot anew.',
      );
    }
    lease.bind(holder);
    return lease;
  }

  /** Calls on every change of a slot. */
  listen(listener: (slot: Slot) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  /** Leaves every lease, with what runs in it, to the next gateway. */
  leave(): void {
    for (const { lease } of this.all()) lease?.leave();
  }

  /** Ends every lease. */
  async close(reason: string): Promise<void> {
    await Promise.all(this.all().map((slot) => slot.close(reason)));
  }
}
