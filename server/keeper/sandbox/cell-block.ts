// The cells of one slot and one network: from a warden that has some left, and the next warden is started in time. Never from a warden of somebody else.
import type { Cgroup } from './cgroup.ts';
import type { Warden } from './warden.ts';
import type { WarmSandbox } from './warm-pool.ts';

/** A warden's start costs as much as ten of its cells, and each takes four descriptors of the keeper until it is used: few at first, twice as many of each next warden. */
const CELLS_AT_FIRST = 4;
const MOST_CELLS = 32;
/** With such a part of its cells left the next warden is started, which takes as long as some commands. */
const FEW = 1 / 4;
/** So many wardens have more cells than commands may begin in a slot at once. */
const TRIES = 5;

export class CellBlock {
  readonly #start: (cells: number, groups: Cgroup[]) => Promise<Warden>;
  readonly #wardens = new Set<Warden>();
  /** Of cells that have ended, for those of the next warden: to make and remove them takes longer than to begin a cell. */
  #free: Cgroup[] = [];
  #cells = CELLS_AT_FIRST;
  #current: Warden | null = null;
  /** Waits until the current one has no cell left. */
  #next: Warden | null = null;
  #starting: Promise<void> | null = null;
  #retired = false;

  /** `start` takes groups out of those that it is given, makes what it needs besides, and rejects when there can be none now. */
  constructor(start: (cells: number, groups: Cgroup[]) => Promise<Warden>) {
    this.#start = start;
  }

  /** Rejects when there can be none now. */
  async cell(): Promise<WarmSandbox> {
    // Others may have taken all cells of one that has just come up.
    for (let tries = 0; tries < TRIES; tries++) {
      const spare = this.#spare();
      if (spare !== null) return spare;
      await this.#renew();
    }
    throw new Error('no warden has a cell left');
  }

  /** No cell any more. Resolves when all wardens have ended that have no command to wait for. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.#starting?.catch(() => {});
    await Promise.all([...this.#wardens].map((warden) => warden.retire()));
    await Promise.all(this.#free.splice(0).map((group) => this.#giveBack(group)));
  }

  /** A cell that comes up at once; null when no warden has one left. */
  #spare(): WarmSandbox | null {
    if (!this.#current?.canBegin && this.#next !== null) {
      void this.#current?.retire();
      this.#current = this.#next;
      this.#next = null;
    }
    const cell = this.#current?.canBegin ? this.#current.cell() : null;
    const group = cell?.group;
    group?.lend(() => void this.#giveBack(group));
    // A failure is told to who needs the next one.
    if (this.#current === null || this.#current.left <= this.#current.cells * FEW) this.#renew().catch(() => {});
    return cell;
  }

  async #giveBack(group: Cgroup): Promise<void> {
    if (this.#retired) await group.close().catch(() => {});
    else this.#free.push(group);
  }

  async #renew(): Promise<void> {
    if (this.#next !== null) return;
    this.#starting ??= this.#replace().finally(() => {
      this.#starting = null;
    });
    await this.#starting;
  }

  async #replace(): Promise<void> {
    if (this.#retired) throw new Error('nothing is to be started any more');
    const warden = await this.#start(this.#cells, this.#free);
    this.#cells = Math.min(2 * this.#cells, MOST_CELLS);
    this.#wardens.add(warden);
    void warden.closed.then(() => {
      this.#wardens.delete(warden);
      if (this.#next === warden) this.#next = null;
      for (const group of warden.unused()) void this.#giveBack(group);
    });
    await warden.ready;
    this.#next = warden;
  }
}
