// How long recordings are kept: removes the oldest sealed ones when they are too old, or when all together are too large.
// It never removes one that is recorded, pinned or without its seal.
import { Slice } from './slice.ts';

/** null = no bound. */
export interface KeepRule {
  readonly maxAgeMs: number | null;
  /** Of all recordings with what is kept beside them, live and pinned ones too. */
  readonly maxBytes: number | null;
}

/** A recording as it lies on the disk. */
export interface StoredCast {
  readonly cast: string;
  /** With what is kept beside it. */
  readonly bytes: number;
  /** ms since 1970; null when it must not be removed. */
  readonly endedAt: number | null;
}

export interface RetentionOptions {
  readonly rule: KeepRule;
  /** All that there are now. */
  readonly stored: () => Promise<readonly StoredCast[]>;
  /** false when it was pinned meanwhile, or is gone. */
  readonly remove: (cast: string) => Promise<boolean>;
  readonly removed: (one: StoredCast & { readonly endedAt: number }) => void;
  readonly failed: (error: unknown) => void;
  /** What time it is, in ms since 1970. */
  readonly now?: () => number;
}

/** Ages are in days; a few minutes more are none. */
const EVERY_MS = 5 * 60_000;
/** After a recording was sealed: of many that end together all are seen by one look. */
const SOON_MS = 5_000;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#now = options.now ?? cautiousClock();
  }

  /** Looks now, and from then on every few minutes. */
  start(): void {
    this.#lookIn(0);
  }

  /** There is one more to count. */
  sealed(): void {
    this.#lookIn(SOON_MS);
  }

  /** Removes what is due; resolves when that is done. */
  run(): Promise<void> {
    this.#running ??= this.#run()
      .catch(this.#options.failed)
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  /** Resolves when nothing is removed any more. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }

  /** The earlier one of two times. */
  #lookIn(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#closed || !hasBound(this.#options.rule) || (this.#timer !== null && this.#dueMs <= dueMs)) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#look(), delayMs).unref();
  }

  async #look(): Promise<void> {
    this.#timer = null;
    await this.run();
    this.#lookIn(EVERY_MS);
  }

  async #run(): Promise<void> {
    const { stored, remove, removed, failed, rule } = this.#options;
    const slice = new Slice();
    for (const one of due(await stored(), rule, this.#now())) {
      if (this.#closed) return;
      const isGone = await remove(one.cast).catch((error: unknown) => {
        failed(error);
        return false;
      });
      if (isGone) removed(one);
      if (slice.over) await slice.rest();
    }
  }
}

/** The wall clock, but no further than time has gone on since now: who sets the host's clock ten years forth must not make every recording old. */
function cautiousClock(): () => number {
  const beganMs = Date.now() - performance.now();
  return () => Math.min(Date.now(), beganMs + performance.now());
}

/** What the rule does not keep, the oldest first. */
export function due(
  stored: readonly StoredCast[],
  { maxAgeMs, maxBytes }: KeepRule,
  nowMs: number,
): (StoredCast & { readonly endedAt: number })[] {
  const before = maxAgeMs === null ? Number.NEGATIVE_INFINITY : nowMs - maxAgeMs;
  let bytes = stored.reduce((sum, one) => sum + one.bytes, 0);
  const removable = stored.flatMap((one) => (one.endedAt === null ? [] : [{ ...one, endedAt: one.endedAt }]));
  removable.sort((a, b) => a.endedAt - b.endedAt || (a.cast < b.cast ? -1 : 1));
  return removable.filter((one) => {
    const isDue = one.endedAt < before || (maxBytes !== null && bytes > maxBytes);
    if (isDue) bytes -= one.bytes;
    return isDue;
  });
}

const hasBound = ({ maxAgeMs, maxBytes }: KeepRule): boolean => maxAgeMs !== null || maxBytes !== null;
