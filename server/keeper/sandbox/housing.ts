// Gives out sandboxes, each in a control group of its own where there can be one: one that stands ready, or a new one.
import type { Network } from '../../../protocol/slot.ts';
import type { Clock } from '../clock.ts';
import type { SlotPlace } from '../keeper.ts';
import { effectiveNetwork } from './args.ts';
import { type Cgroup, type CgroupError, Cgroups, openCgroups } from './cgroup.ts';
import { startSandbox } from './launch.ts';
import type { Policy } from './policy.ts';
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
  readonly #options: HousingOptions;
  readonly #warm: WarmPool;
  #groups: Cgroups | CgroupError | null = null;

  constructor(options: HousingOptions) {
    this.#options = options;
    this.policy = options.policy;
    const start = async (place: SlotPlace, network: Network): Promise<WarmSandbox> => {
      const warm = await this.#start(place, network);
      await warm.sandbox.joined.catch(async (error: unknown) => {
        warm.sandbox.destroy();
        await warm.sandbox.closed;
        await this.leave(warm.group);
        throw error;
      });
      return warm;
    };
    this.#warm = new WarmPool({ clock: options.clock, start });
  }

  /** Once, before anything is given out; what a keeper that was killed has left of groups is removed. */
  open(): void {
    this.#groups = openCgroups(this.#options.dataDir);
  }

  /** Or why there are none; null before they were opened. */
  get groups(): Cgroups | CgroupError | null {
    return this.#groups;
  }

  /** For one command. Its group is to be left when it has ended. Fault SANDBOX_UNAVAILABLE. */
  async sandbox(place: SlotPlace, network: Network): Promise<WarmSandbox> {
    // Without walls who runs in the slot would get at what waits there.
    const isWalled = this.policy.sandbox === 'bwrap';
    const warm = isWalled ? this.#warm.take(place, effectiveNetwork(this.policy, network)) : null;
    return warm ?? (await this.#start(place, network));
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
  }

  /** Nothing is to be given out any more. */
  async stop(): Promise<void> {
    await this.#warm.close();
  }

  /** When everything is dead. */
  async close(): Promise<void> {
    if (!(this.#groups instanceof Cgroups)) return;
    const failed = (error: unknown): void => this.#options.failed(error, 'control groups could not be removed');
    await this.#groups.close().catch(failed);
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
