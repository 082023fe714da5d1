// What slots hold on the host's disk: measured while something runs in them, so that one that takes too much is stopped before the disk is full.
// The kernel knows no quota for a directory; a measurement is a walk, so it is done only when the file system says that something grew.
import { stat, statfs } from 'node:fs/promises';
import { Fault } from '../../protocol/fault.ts';
import { measureDisk, type Used } from './disk-measure.ts';
import type { SlotPlace } from './keeper.ts';

/** A disk that writes 2 GB a second gets half a gigabyte further between two looks at its free space. */
const LOOK_MS = 250;
/** What the file system may grow before those that may have done it are measured. */
const STEP_BYTES = 64 * 1024 ** 2;
const STEP_FILES = 10_000;
/** While something runs it is measured so often in any case: what one slot adds, another one may be freeing. */
const STALE_MS = 30_000;
/** Between two walks for that alone: each is a process, and hundreds of slots that do nothing must not slow those that do something. */
const STALE_STEP_MS = 1_000;
/** While too little is free: between two measurements of all, and what counts as growth between them. */
const URGENT_MS = 1_000;
const URGENT_BYTES = 16 * 1024 ** 2;
/** Of the growth of the one that grew most: who grew by less goes on, and is looked at again. */
const URGENT_SHARE = 4;
/** And how long a walk may take then: a tree that is made to be walked slowly is no way to go on. */
const URGENT_WALK_MS = 2_000;
/** Refused calls measure again, but not each of a hundred a second. */
const FRESH_MS = 250;
/** Walks at once: they are for the disk, not for the processor. */
const WALKS = 2;

export interface DiskLimits {
  /** Workspace and /tmp of one slot; 0 = no limit. */
  readonly diskBytes: number;
  /** Files and directories in them; 0 = no limit. */
  readonly files: number;
  /** Of the file system with the data directory: with less, slots that grow are stopped; 0 = none. */
  readonly minFreeBytes: number;
}

export const DEFAULT_DISK_LIMITS: DiskLimits = {
  // A few checkouts with their dependencies, or a model.
  diskBytes: 10 * 1024 ** 3,
  // Five times the largest node_modules; each is an inode of the host.
  files: 1_000_000,
  // What a host needs to stay usable, and more than a fast disk takes in a second.
  minFreeBytes: 1024 ** 3,
};

/** One slot. */
interface Account {
  readonly place: SlotPlace;
  used: Used;
  /** Written by file calls since it was measured. */
  added: Used;
  /** Of the file system when it was measured. */
  freeThen: Used | null;
  measuredMs: number;
  measuring: Promise<void> | null;
  /** When the walk that is done now had its turn; null while none is done. */
  walkingMs: number | null;
  /** Why nothing may run in it; null when it may. */
  full: 'quota' | 'reserve' | null;
  /** Told to stop everything; null when nothing runs. */
  stop: ((why: string) => void) | null;
  /** The recording that it writes. */
  cast: string | null;
  castBytes: number;
}

const NOTHING: Used = { bytes: 0, files: 0 };
/** More than any growth that was measured. */
const SLOW = Number.POSITIVE_INFINITY;

export class DiskWatch {
  readonly #dataDir: string;
  limits: DiskLimits;
  readonly #measureDisk: typeof measureDisk;
  readonly #accounts = new Map<string, Account>();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;
  #lookedMs = 0;
  #urgentMs = 0;
  #staleMs = 0;
  /** Free space at the look or relief before. */
  #freeBefore: Used | null = null;
  #walks = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(dataDir: string, limits: DiskLimits, measure = measureDisk) {
    this.#dataDir = dataDir;
    this.limits = limits;
    this.#measureDisk = measure;
  }

  /** Nothing is in it any more. */
  emptied(place: SlotPlace): void {
    const account = this.#accountOf(place);
    Object.assign(account, { used: NOTHING, added: NOTHING, freeThen: null, full: null, castBytes: 0 });
  }

  /** Watches as long as something runs in it. `stop` gets the reason in words for people. */
  watch(place: SlotPlace, cast: string | null, stop: (why: string) => void): { close(): void } {
    const account = this.#accountOf(place);
    account.stop = stop;
    account.cast = cast;
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS).unref();
    // Short commands, one after the other, would never be there when the timer comes.
    if (performance.now() - this.#lookedMs > LOOK_MS) void this.#look();
    return {
      close: () => {
        if (account.stop !== stop) return;
        account.stop = null;
        if (this.#watched().length === 0) this.close();
      },
    };
  }

  /** How many bytes may be added; measured anew where fewer than are wanted. NO_SPACE when the slot holds too much, or too little is free. */
  async left(place: SlotPlace, wantedBytes = 0): Promise<number> {
    const account = this.#accountOf(place);
    // Before anything runs: what is written until the first look counts too.
    account.freeThen ??= await this.#free();
    const isFull = account.full !== null || this.#excess(account) !== null;
    if (isFull || this.#leftOf(account) < wantedBytes) await this.#judgeAnew(account);
    return this.#leftOf(account);
  }

  #leftOf({ used, added }: Account): number {
    const { diskBytes } = this.limits;
    return diskBytes === 0 ? Number.POSITIVE_INFINITY : diskBytes - used.bytes - added.bytes;
  }

  /** What was full may have been emptied since. */
  async #judgeAnew(account: Account): Promise<void> {
    if (performance.now() - account.measuredMs > FRESH_MS) await this.#measure(account);
    const excess = this.#excess(account);
    const isScarce = account.full === 'reserve' && this.#scarce(await this.#free());
    account.full = excess !== null ? 'quota' : isScarce ? 'reserve' : null;
    const { slot } = account.place;
    if (excess !== null) throw noSpace(`${slot} is full: ${excess}. Remove files by file.remove, or reset the slot.`);
    if (isScarce) throw noSpace(REFUSED);
  }

  /** As left, for what a file call writes: nothing when too little is free on the host. */
  async leftToWrite(place: SlotPlace, wantedBytes: number): Promise<number> {
    const left = await this.left(place, wantedBytes);
    const free = await this.#free();
    if (this.#scarce(free)) throw noSpace(REFUSED);
    const { minFreeBytes } = this.limits;
    return Math.min(left, free === null ? left : free.bytes - minFreeBytes);
  }

  /** Counts what a file call writes until it is measured; less than nothing for what was removed again, and may have been measured meanwhile. */
  added(place: SlotPlace, { bytes, files }: Used): void {
    const account = this.#accountOf(place);
    const { added } = account;
    account.added = { bytes: Math.max(0, added.bytes + bytes), files: Math.max(0, added.files + files) };
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #accountOf(place: SlotPlace): Account {
    const known = this.#accounts.get(place.slot);
    if (known !== undefined) return known;
    const account: Account = {
      ...{ place, used: NOTHING, added: NOTHING, freeThen: null, measuredMs: 0, measuring: null, walkingMs: null },
      ...{ full: null, stop: null, cast: null, castBytes: 0 },
    };
    this.#accounts.set(place.slot, account);
    return account;
  }

  #watched(): Account[] {
    return [...this.#accounts.values()].filter(({ stop }) => stop !== null);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#lookedMs = performance.now();
    try {
      const free = await this.#free();
      if (free === null) return;
      if (this.#scarce(free)) return await this.#relieve(free);
      this.#freeBefore = free;
      // Not waited for: what makes one walk long would leave all others unseen meanwhile.
      const stalest = this.#stalest();
      for (const account of this.#watched()) void this.#check(account, free, account === stalest);
    } finally {
      this.#looking = false;
    }
  }

  /** Whose measurement is the oldest, if it is too old and one like it was not just renewed. */
  #stalest(): Account | null {
    const nowMs = performance.now();
    if (nowMs - this.#staleMs < STALE_STEP_MS) return null;
    const [first, ...others] = this.#watched().filter(({ measuring }) => measuring === null);
    if (first === undefined) return null;
    const oldest = others.reduce((found, account) => (account.measuredMs < found.measuredMs ? account : found), first);
    if (nowMs - oldest.measuredMs < STALE_MS) return null;
    this.#staleMs = nowMs;
    return oldest;
  }

  /** Measures one when the file system has grown since, and stops it when it holds too much. */
  async #check(account: Account, free: Used, isStale: boolean): Promise<void> {
    const then = account.freeThen;
    if (then === null) {
      account.freeThen = free;
      return;
    }
    const bytes = then.bytes - free.bytes;
    // Of several that may have grown, none may surpass its limit by more than a step.
    const isGrown = bytes >= STEP_BYTES || then.files - free.files >= STEP_FILES;
    if (!isGrown && !isStale && account.measuredMs > 0) return;
    if (account.measuring !== null) return;
    await this.#measure(account);
    const excess = this.#excess(account);
    if (excess !== null) this.#stop(account, 'quota', excess);
  }

  /** Too little is free: who grows most is stopped, with those that grow nearly as fast, and when nobody is seen to grow, everybody. */
  async #relieve(free: Used): Promise<void> {
    if (performance.now() - this.#urgentMs < URGENT_MS) return;
    this.#urgentMs = performance.now();
    const lost = (this.#freeBefore ?? free).bytes - free.bytes;
    this.#freeBefore = free;
    const grown = await Promise.all(
      this.#watched().map(async (account) => {
        const total = account.used.bytes + account.castBytes;
        await within(URGENT_WALK_MS, this.#measure(account));
        // One that waits for its turn is no slow one.
        const since = account.walkingMs ?? Number.POSITIVE_INFINITY;
        const isSlow = performance.now() - since >= URGENT_WALK_MS;
        return { account, bytes: isSlow ? SLOW : account.used.bytes + account.castBytes - total };
      }),
    );
    const most = Math.max(...grown.map(({ bytes }) => bytes), 0);
    const growing = grown.filter(({ bytes }) => bytes > URGENT_BYTES && bytes >= most / URGENT_SHARE);
    for (const { account } of growing) this.#stop(account, 'reserve', LITTLE_FREE);
    // What is written to a file without a name shows in no walk.
    if (growing.length === 0 && lost > URGENT_BYTES)
      for (const account of this.#watched()) this.#stop(account, 'reserve', LITTLE_FREE);
  }

  #stop(account: Account, full: 'quota' | 'reserve', why: string): void {
    account.full = full;
    account.stop?.(why);
  }

  #scarce(free: Used | null): boolean {
    return free !== null && this.limits.minFreeBytes > 0 && free.bytes < this.limits.minFreeBytes;
  }

  /** What is too much, in words; null when nothing is. */
  #excess({ used, added }: Account): string | null {
    const { diskBytes, files } = this.limits;
    const bytes = used.bytes + added.bytes;
    if (diskBytes > 0 && bytes > diskBytes) {
      return `workspace and /tmp hold ${sizeOf(bytes)}, and may hold ${sizeOf(diskBytes)}`;
    }
    const entries = used.files + added.files;
    return files > 0 && entries > files ? `workspace and /tmp hold ${entries} files, and may hold ${files}` : null;
  }

  /** One walk at a time for a slot; who asks meanwhile waits for it. */
  #measure(account: Account): Promise<void> {
    account.measuring ??= this.#walk(account).finally(() => {
      account.measuring = null;
    });
    return account.measuring;
  }

  async #walk(account: Account): Promise<void> {
    if (this.#walks >= WALKS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#walks++;
    account.walkingMs = performance.now();
    try {
      const free = await this.#free();
      const { place, cast } = account;
      const [used, castBytes] = await Promise.all([
        this.#measureDisk(place),
        cast === null
          ? 0
          : stat(cast).then(
              ({ size }) => size,
              () => 0,
            ),
      ]);
      account.used = used ?? account.used;
      Object.assign(account, { added: NOTHING, freeThen: free, measuredMs: performance.now(), castBytes });
    } finally {
      account.walkingMs = null;
      this.#walks--;
      this.#waiting.shift()?.();
    }
  }

  async #free(): Promise<Used | null> {
    try {
      const { bavail, bsize, ffree } = await statfs(this.#dataDir);
      return { bytes: bavail * bsize, files: ffree };
    } catch {
      return null;
    }
  }
}

/** Resolves with the work, or when its time is over. */
async function within(timeMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const LITTLE_FREE = "there is little space left on the host's disk";
const REFUSED = `Refused, since ${LITTLE_FREE}. Wait, or ask the operator to free some.`;
const noSpace = (why: string): Fault => new Fault('NO_SPACE', why);

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

function sizeOf(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power]}`;
}
