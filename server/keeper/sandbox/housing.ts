// Gives out sandboxes, each in a control group of its own where there can be one: one that stands ready, a new cell of the slot's warden, or one of its own.
import type { Network } from '../../../protocol/slot.ts';
import type { Clock } from '../clock.ts';
import type { SlotPlace } from '../keeper.ts';
import { effectiveNetwork } from './args.ts';
import { CellBlock } from './cell-block.ts';
import { type Cgroup, type CgroupError, Cgroups, openCgroups } from './cgroup.ts';
import { startSandbox } from './launch.ts';
import type { Policy } from './policy.ts';
import { Warden, type WardenSpec } from './warden.ts';
import { WarmPool, type WarmSandbox } from './warm-pool.ts';

export interface HousingOptions {
  readonly dataDir: string;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly failed: (error: unknown, message: string) => void;
}

export class Housing {
  /** For what is given out from now on. */
  policy: Policy;
  /** Whether wardens work here; without them each command has a bwrap of its own. */
  cells = true;
  readonly #options: HousingOptions;
  readonly #warm: WarmPool;
  readonly #blocks = new Map<string, CellBlock>();
  /** Until they have ended. */
  readonly #wardens = new Set<Warden>();
  #groups: Cgroups | CgroupError | null = null;

  constructor(options: HousingOptions) {
    this.#options = options;
    this.policy = options.policy;
    const start = (place: SlotPlace, network: Network): Promise<WarmSandbox> => this.#cellOrOwn(place, network);
    const dropped = (place: SlotPlace, network: Network): Promise<void> => this.#retire(`${place.slot} ${network}`);
    this.#warm = new WarmPool({ clock: options.clock, start, dropped });
  }

  /** Once, before anything is given out; what a keeper that was killed has left of groups is removed. */
  async open(): Promise<void> {
    this.#groups = await openCgroups(this.#options.dataDir);
  }

  /** Or why there are none; null before they were opened. */
  get groups(): Cgroups | CgroupError | null {
    return this.#groups;
  }

  /** For one command. Its group is to be left when it has ended. Fault SANDBOX_UNAVAILABLE. */
  async sandbox(place: SlotPlace, network: Network): Promise<WarmSandbox> {
    // Without walls who runs in the slot would get at what waits there.
    if (this.policy.sandbox === 'none') return await this.#start(place, network);
    return await this.#warm.take(place, effectiveNetwork(this.policy, network));
  }

  /** A group for what is started otherwise. */
  async group({ slot }: SlotPlace): Promise<Cgroup | undefined> {
    return this.#groups instanceof Cgroups ? await this.#groups.group(slot, this.policy.limits) : undefined;
  }

  /** Everything in it is dead. */
  async leave(group: Cgroup | undefined): Promise<void> {
    await group?.close().catch((error: unknown) => this.#options.failed(error, 'a control group could not be removed'));
  }

  /** Nothing stands ready any more, in that slot or in any. */
  async discard(slot?: string): Promise<void> {
    await this.#warm.discard(slot);
    await this.#retire(slot === undefined ? '' : `${slot} `);
  }

  /** Nothing is to be given out any more. */
  async stop(): Promise<void> {
    this.cells = false;
    await this.#warm.close();
    await this.#retire('');
  }

  /** When everything is dead. */
  async close(): Promise<void> {
    await Promise.all([...this.#wardens].map(({ closed }) => closed));
    if (!(this.#groups instanceof Cgroups)) return;
    const failed = (error: unknown): void => this.#options.failed(error, 'control groups could not be removed');
    await this.#groups.close().catch(failed);
  }

  /** Those whose names begin so: a slot and a network. */
  async #retire(prefix: string): Promise<void> {
    const blocks = [...this.#blocks].filter(([name]) => name.startsWith(prefix));
    for (const [name] of blocks) this.#blocks.delete(name);
    await Promise.all(blocks.map(([, block]) => block.retire()));
  }

  async #cellOrOwn(place: SlotPlace, network: Network): Promise<WarmSandbox> {
    if (!this.cells) return await this.#start(place, network);
    const name = `${place.slot} ${network}`;
    const block =
      this.#blocks.get(name) ?? new CellBlock((cells, free) => this.#warden({ place, network, cells }, free));
    this.#blocks.set(name, block);
    return await block.cell().catch(async () => await this.#start(place, network));
  }

  async #warden(wanted: Pick<WardenSpec, 'place' | 'network' | 'cells'>, free: Cgroup[]): Promise<Warden> {
    const { policy } = this;
    const needed = this.#groups instanceof Cgroups ? wanted.cells + 1 : 0;
    const groups = free.splice(0, needed);
    const missing = Array.from({ length: needed - groups.length }, () => this.group(wanted.place));
    const made = await Promise.allSettled(missing);
    for (const one of made) if (one.status === 'fulfilled' && one.value !== undefined) groups.push(one.value);
    try {
      const failed = made.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      const warden = new Warden({ policy, groups, ...wanted });
      this.#wardens.add(warden);
      void warden.closed.then(() => this.#wardens.delete(warden));
      return warden;
    } catch (error) {
      free.push(...groups);
      throw error;
    }
  }

  async #start(place: SlotPlace, network: Network): Promise<WarmSandbox> {
    const { policy } = this;
    const group = await this.group(place);
    try {
      return { sandbox: startSandbox({ policy, place, network, group }), group };
    } catch (error) {
      await this.leave(group);
      throw error;
    }
  }
}
