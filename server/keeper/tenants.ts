// What runs in which slot. A slot is watched as long as anything does.
import type { Limit } from '../../protocol/exec.ts';
import type { SlotPlace } from './keeper.ts';

export interface Killable {
  readonly ended: Promise<unknown>;
  kill(limit?: Limit): Promise<void>;
}

interface Tenant {
  readonly children: Set<Killable>;
  readonly watch: { close(): void };
}

export class Tenants {
  readonly #watch: (place: SlotPlace) => { close(): void };
  /** By the name of the slot; only those in which something runs. */
  readonly #bySlot = new Map<string, Tenant>();

  constructor(watch: (place: SlotPlace) => { close(): void }) {
    this.#watch = watch;
  }

  moveIn(place: SlotPlace, child: Killable): void {
    const { slot } = place;
    const tenant = this.#bySlot.get(slot) ?? { children: new Set(), watch: this.#watch(place) };
    this.#bySlot.set(slot, tenant);
    tenant.children.add(child);
    void child.ended.then(() => {
      tenant.children.delete(child);
      if (tenant.children.size > 0 || this.#bySlot.get(slot) !== tenant) return;
      this.#bySlot.delete(slot);
      tenant.watch.close();
    });
  }

  /** Stops what runs in a slot, for the sake of the disk. */
  stop(slot: string): void {
    for (const child of this.#bySlot.get(slot)?.children ?? []) void child.kill('disk');
  }
}
