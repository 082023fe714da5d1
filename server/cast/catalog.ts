// The list of recordings: all that the directory has, filtered and searched, newest first.
// It reads no cast as a whole that it has a digest of, and holds what it learned within a bound.
import { readdir } from 'node:fs/promises';
import { type CastInfo, castId } from '../../protocol/cast.ts';
import { Fault } from '../../protocol/fault.ts';
import { DIGEST, Digests } from './digest.ts';
import type { IndexCache, ShelfOptions } from './index-cache.ts';
import { KEPT_FROM_BYTES, SCREENS } from './kept.ts';
import { inParallel, MAX_OPEN } from './parallel.ts';
import { Slice } from './slice.ts';
import { PIN } from './stock.ts';
import { readSummary, type Summary, startOf } from './summary.ts';

const CAST = '.cast';

export interface CastFilter {
  /** Only this one. */
  readonly cast?: string | undefined;
  readonly slot?: string | undefined;
  readonly label?: string | undefined;
  /** Words that all occur in slot, label or a command. */
  readonly search?: string | undefined;
  /** Of startedAt: from ≤ startedAt < to. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly limit: number;
  readonly before?: string | undefined;
}

interface Entry {
  readonly cast: string;
  readonly summary: Summary;
  readonly startedAt: number;
  readonly pinned: boolean;
}

export interface CatalogOptions extends ShelfOptions {
  readonly indexes: IndexCache;
}

export class Catalog {
  readonly #options: CatalogOptions;
  /** Sealed casts only: the others change. */
  readonly #sealed = new Map<string, Summary>();
  readonly #digests: Digests;
  /** Digests that are made before somebody asks for them. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: CatalogOptions) {
    const { dir, indexes } = options;
    this.#options = options;
    const make = async (cast: string) => {
      const { tally } = await indexes.pass(cast);
      return { failed: tally.failed(false), text: tally.text() };
    };
    this.#digests = new Digests({ dir, make });
  }

  /** Newest first; what is no readable cast is left out. */
  async list(filter: CastFilter): Promise<CastInfo[]> {
    const entries = await this.#entries();
    // Where the page before ended is looked for among the slot's own alone: the others' places are none of its viewers' business.
    const seen = entries.filter((entry) => isOf(entry, filter));
    const after = filter.before === undefined ? 0 : seen.findIndex(({ cast }) => cast === filter.before) + 1;
    const wanted = seen.slice(after).filter((entry) => matches(entry, filter));
    const words = wordsOf(filter.search ?? '');
    const found = words.length === 0 ? wanted.slice(0, filter.limit) : await this.#search(wanted, words, filter.limit);
    const infos = new Map<string, CastInfo>();
    await inParallel(found, async ({ cast, summary, pinned }) => {
      const info = await this.info(cast, summary, pinned).catch(nullIfGone);
      if (info !== null) infos.set(cast, info);
    });
    return found.flatMap(({ cast }) => infos.get(cast) ?? []);
  }

  /** Header and seal; null when it can't be read, or has just gone. Throws CAST_NOT_FOUND for what is no name of a cast. */
  async summary(cast: string): Promise<Summary | null> {
    const known = this.#sealed.get(cast);
    if (known !== undefined) return known;
    const summary = await readSummary(this.#options.indexes.path(cast)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (summary !== null && summary.seal !== null) this.#sealed.set(cast, summary);
    return summary;
  }

  /** What a list shows of a cast. Faults: CAST_NOT_FOUND. */
  async info(cast: string, summary: Summary, pinned: boolean): Promise<CastInfo> {
    const { header, bytes } = summary;
    const { cols, rows, slotcast } = header;
    const counted = await this.#counted(cast, summary);
    return {
      cast,
      slot: slotcast?.slot ?? '',
      label: slotcast?.label ?? null,
      startedAt: startOf(summary),
      duration: counted.durationMs / 1000,
      bytes,
      cols,
      rows,
      live: this.#options.live(cast) !== null,
      pinned,
      commands: counted.commands,
      failed: counted.failed,
    };
  }

  /** The cast is gone: what is kept beside it goes too. */
  async forget(cast: string): Promise<void> {
    this.#sealed.delete(cast);
    this.#digests.forget(cast);
    this.#options.indexes.forget(cast);
    await this.#digests.drop(cast);
    await this.#options.indexes.dropScreens(cast);
  }

  /** Makes the digest of a cast that has been sealed, in turn and in the background. */
  sealed(cast: string): void {
    this.#turn = this.#turn.then(() => this.#digest(cast)).catch(() => undefined);
  }

  /** As sealed, for every cast that has no digest. */
  catchUp(): void {
    const found = this.#files().then(({ casts, digests }) => {
      for (const cast of casts) if (!digests.has(cast)) this.sealed(cast);
    });
    this.#turn = this.#turn.then(() => found).catch(() => undefined);
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#digests.close();
    await this.#turn;
  }

  async #digest(cast: string): Promise<void> {
    if (this.#closed) return;
    const summary = await this.summary(cast);
    if (summary === null || summary.seal === null) return;
    const { indexes } = this.#options;
    const isLarge = summary.bytes >= KEPT_FROM_BYTES;
    // Its digest is then made from the same reading.
    if (isLarge) await indexes.open(cast);
    await this.#digests.failed(cast, summary.bytes);
    if (isLarge && !this.#closed) await indexes.keepScreens(cast, () => !this.#closed);
  }

  async #entries(): Promise<Entry[]> {
    const { casts, digests, screens, pins } = await this.#files();
    for (const cast of digests) if (!casts.has(cast)) await this.#digests.drop(cast);
    for (const cast of screens) if (!casts.has(cast)) await this.#options.indexes.dropScreens(cast);
    for (const cast of this.#sealed.keys()) {
      if (casts.has(cast)) continue;
      this.#sealed.delete(cast);
      this.#digests.forget(cast);
    }
    const entries: Entry[] = [];
    const take = (cast: string, summary: Summary | null): void => {
      if (summary !== null) entries.push({ cast, summary, startedAt: startOf(summary), pinned: pins.has(cast) });
    };
    const unread = [...casts].filter((cast) => !this.#sealed.has(cast));
    for (const [cast, summary] of this.#sealed) take(cast, summary);
    await inParallel(unread, async (cast) => take(cast, await this.summary(cast)));
    return entries.sort((a, b) => b.startedAt - a.startedAt || (a.cast < b.cast ? 1 : -1));
  }

  async #files(): Promise<Record<'casts' | 'digests' | 'screens' | 'pins', Set<string>>> {
    const files = await readdir(this.#options.dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const [casts, digests] = [namesOf(files, CAST), namesOf(files, DIGEST)];
    return { casts, digests, screens: namesOf(files, SCREENS), pins: namesOf(files, PIN) };
  }

  /** The first casts in which every word occurs. */
  async #search(entries: readonly Entry[], words: readonly string[], limit: number): Promise<Entry[]> {
    const found: Entry[] = [];
    const slice = new Slice();
    for (let at = 0; at < entries.length && found.length < limit; at += MAX_OPEN) {
      const some = entries.slice(at, at + MAX_OPEN);
      const read = await this.#texts(some.filter(({ cast }) => this.#digests.heldText(cast) === null));
      for (const entry of some) {
        const text = read.get(entry.cast) ?? this.#digests.heldText(entry.cast) ?? '';
        const { slot = '', label } = entry.summary.header.slotcast ?? {};
        const about = `${slot}\n${label ?? ''}`.toLowerCase();
        if (words.every((word) => about.includes(word) || text.includes(word))) found.push(entry);
        if (slice.over) await slice.rest();
      }
    }
    return found.slice(0, limit);
  }

  async #texts(entries: readonly Entry[]): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    await inParallel(entries, async (entry) => {
      texts.set(entry.cast, (await this.#text(entry).catch(nullIfGone)) ?? '');
    });
    return texts;
  }

  async #text({ cast, summary }: Entry): Promise<string> {
    if (summary.seal !== null) return await this.#digests.text(cast, summary.bytes);
    return (await this.#options.indexes.open(cast)).index.tally.text();
  }

  async #counted(cast: string, { seal, bytes }: Summary) {
    if (seal !== null) {
      const failed = await this.#digests.failed(cast, bytes);
      return { durationMs: seal.duration * 1000, commands: seal.commands, failed };
    }
    const { indexes, live } = this.#options;
    const { index } = await indexes.open(cast);
    const { commands } = index.tally;
    return { durationMs: indexes.durationMs(cast, index), commands, failed: index.tally.failed(live(cast) !== null) };
  }
}

/** Names of casts in front of this ending. */
function namesOf(files: readonly string[], ending: string): Set<string> {
  const names = files.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length));
  return new Set(names.filter((name) => castId.safeParse(name).success));
}

/** By cast and slot, to which a credential may be bound. */
const isOf = ({ cast, summary: { header } }: Entry, filter: CastFilter): boolean =>
  (filter.cast === undefined || filter.cast === cast) &&
  (filter.slot === undefined || header.slotcast?.slot === filter.slot);

function matches({ summary: { header }, startedAt }: Entry, filter: CastFilter): boolean {
  const { label, from, to } = filter;
  if (startedAt < (from ?? Number.NEGATIVE_INFINITY) || startedAt >= (to ?? Number.POSITIVE_INFINITY)) return false;
  return label === undefined || header.slotcast?.label === label;
}

/** In small letters, each once; the longest, which is the rarest, first. */
function wordsOf(search: string): string[] {
  const words = search.toLowerCase().split(/\s+/);
  return [...new Set(words)].filter((word) => word !== '').sort((a, b) => b.length - a.length);
}

function nullIfGone(error: unknown): null {
  if (error instanceof Fault && (error.fault === 'CAST_NOT_FOUND' || error.fault === 'CAST_DAMAGED')) return null;
  throw error;
}
