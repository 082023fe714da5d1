// What directories contain. Must never follow a link: a link is an entry like any other.
import { lstat } from 'node:fs/promises';
import type { FileEntry } from '../../protocol/file.ts';
import type { Door } from './door.ts';
import { parsePath } from './path.ts';
import { kindOf } from './pin.ts';
import { type FoundName, type Visit, Walk } from './walk.ts';

const DEFAULT_ENTRIES = 5000;
/** Enough to keep the thread pool busy, few enough for other calls to get in between. */
const STATS_AT_ONCE = 32;

export interface ListOrder {
  readonly path?: string;
  readonly recursive?: boolean;
  readonly maxEntries?: number;
}

export interface Listing {
  /** Paths relative to the workspace, sorted. Bytes of a name that are no UTF-8 show as U+FFFD. */
  readonly entries: FileEntry[];
  /** There is more: over the limit, unreadable, or deeper than a path can name. */
  readonly truncated: boolean;
}

/** As file.list. Of a directory over the limit it gives some of its entries, not the first by name: reading on just to sort has no bound. */
export async function listDirectory(door: Door, order: ListOrder): Promise<Listing> {
  const path = parsePath(order.path ?? '.');
  const top = await door.directory(path);
  const base = path.names.map((name) => `${name}/`).join('');
  const walk = new Walk(order.maxEntries ?? DEFAULT_ENTRIES);
  const entries: FileEntry[] = [];
  try {
    for await (const visit of walk.visits(top, order.recursive ?? false)) {
      for (let at = 0; at < visit.found.length; at += STATS_AT_ONCE) {
        const some = visit.found.slice(at, at + STATS_AT_ONCE);
        const stats = await Promise.all(some.map((found) => entryOf(visit, found, base)));
        for (const entry of stats) if (entry) entries.push(entry);
      }
    }
  } finally {
    top.close();
  }
  // One directory comes sorted from its visit.
  if (order.recursive) entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries, truncated: walk.cut || walk.lost > 0 };
}

/** null when it vanished since. */
async function entryOf(visit: Visit, { name }: FoundName, base: string): Promise<FileEntry | null> {
  const stat = await lstat(visit.dir.atBytes(name)).catch(() => null);
  if (stat === null) return null;
  const path = base + Buffer.from(visit.prefix + name, 'latin1').toString('utf8');
  return { path, kind: kindOf(stat), size: stat.size, mtimeMs: stat.mtimeMs };
}
