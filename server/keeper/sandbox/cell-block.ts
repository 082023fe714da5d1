// The cells of one slot and one network: from a warden that has some left, and the next warden is started in time. Never from a warden of somebody else.
import type { Cgroup } from './cgroup.ts';
import type { Warden } from './warden.ts';
import type { WarmSandbox } from './warm-pool.ts';

/** With so few cells left the next warden is started, which takes as long as some commands. */
const FEW = 6;

/** A warden, and the groups of it and its cells. */
export interface Guarded {
  readonly warden: Warden;
  readonly groups: readonly Cgroup[];
}

export class CellBlock {
  readonly #start: () => Promise<Guarded>;
  readonly #wardens = new Set<Warden>();
  #current: Warden | null = null;
  #starting: Promise<void> | null = null;
  #retired = false;

  /** `start` rejects when there can be none now. */
  constructor(start: () => Promise<Guarded>) {
    this.#start = start;
  }

  /** A cell that comes up at once; null when no warden has one left. */
  spare(): WarmSandbox | null {
    const warden = this.#current;
    const cell = warden !== null && warden.left > 0 && warden.alive ? warden.cell() : null;
    // A failure is told to who needs the next one.
    if (warden !== null && warden.left <= FEW) this.#renew().catch(() => {});
    return cell;
  }

  /** Rejects when there can be none now. */
  async cell(): Promise<WarmSandbox> {
    const spare = this.spare();
    if (spare !== null) return spare;
    await this.#renew();
    const cell = this.spare();
    if (cell === null) throw new Error('the warden ended at once');
    return cell;
  }

  /** No cell any more. Resolves when all wardens have ended that have no command to wait for. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.#starting?.catch(() => {});
    await Promise.all([...this.#wardens].map((warden) => warden.retire()));
  }

  #renew(): Promise<void> {
    this.#starting ??= this.#replace().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #replace(): Promise<void> {
    if (this.#retired) throw new Error('nothing is to be started any more');
    const { warden, groups } = await this.#start();
    this.#wardens.add(warden);
    void warden.closed.then(async () => {
      this.#wardens.delete(warden);
      await Promise.all(groups.map((group) => group.close().catch(() => {})));
    });
    await warden.ready;
    void this.#current?.retire();
    this.#current = warden;
  }
}
