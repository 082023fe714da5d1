// Goes through a tree of any depth and width, one directory at a time, without recursion and with a bounded number of descriptors.
// Must never follow a link, and never hold more names than the caller allows.
import type { Stats } from 'node:fs';
import type { FileEntry } from '../../protocol/file.ts';
import { MAX_PATH_BYTES } from './path.ts';
import { ENTER, entriesOf, kindOf, open, Pin } from './pin.ts';

/** Ancestors that stay pinned; those above are found again by `..` and recognised. A walk then holds 70 descriptors at most. */
const PINNED_ANCESTORS = 64;

/** A name as bytes in a latin1 string, as from entriesOf. */
export interface FoundName {
  readonly name: string;
  readonly kind: FileEntry['kind'];
}

export interface Visit {
  /** Good until the next visit. */
  readonly dir: Pin;
  /** Of `dir`, below the top: empty, or bytes in a latin1 string that end in a slash. */
  readonly prefix: string;
  readonly stat: Stats;
  /** By name. */
  readonly found: readonly FoundName[];
}

interface Level {
  /** null while it is too far above. */
  pin: Pin | null;
  readonly identity: string;
  readonly prefix: string;
  /** Directories still to be visited, last first. */
  readonly pending: string[];
}

export class Walk {
  readonly #maxEntries: number;
  readonly #levels: Level[] = [];
  #seen = 0;
  /** Entries that vanished, could not be read, or lie deeper than a path can name. */
  lost = 0;
  /** There was more than maxEntries. */
  cut = false;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** `top` stays the caller's. With `recursive: false` it is the only visit. */
  async *visits(top: Pin, recursive = true): AsyncGenerator<Visit> {
    try {
      yield* this.#visit(top, '', recursive);
      while (!this.cut) {
        const next = await this.#next();
        if (next === null) return;
        yield* this.#visit(next.pin, next.prefix, true);
      }
    } finally {
      for (const level of this.#levels) if (level.pin !== top) level.pin?.close();
    }
  }

  async *#visit(dir: Pin, prefix: string, recursive: boolean): AsyncGenerator<Visit> {
    const found = await this.#read(dir, prefix.length);
    const pending = recursive ? found.filter(({ kind }) => kind === 'dir').map(({ name }) => name) : [];
    this.#levels.push({ pin: dir, identity: dir.identity(), prefix, pending: pending.reverse() });
    // The top is the caller's, so it is never let go.
    const far = this.#levels.length - 1 - PINNED_ANCESTORS;
    const level = far > 0 ? this.#levels[far] : undefined;
    if (level?.pin) {
      level.pin.close();
      level.pin = null;
    }
    yield { dir, prefix, stat: dir.stat(), found };
  }

  async #read(dir: Pin, prefixLength: number): Promise<FoundName[]> {
    const found: FoundName[] = [];
    try {
      for await (const entry of await entriesOf(dir)) {
        if (prefixLength + entry.name.length > MAX_PATH_BYTES) {
          this.lost += 1;
          continue;
        }
        if (this.#seen === this.#maxEntries) {
          this.cut = true;
          break;
        }
        this.#seen += 1;
        found.push({ name: entry.name, kind: kindOf(entry) });
      }
    } catch {
      this.lost += 1;
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The next directory to visit: the deepest one that is pending. */
  async #next(): Promise<{ pin: Pin; prefix: string } | null> {
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const name = level.pending.pop();
      if (name === undefined) {
        await this.#leave();
        continue;
      }
      const pin = level.pin && (await enter(level.pin, name));
      if (pin) return { pin, prefix: `${level.prefix}${name}/` };
      this.lost += 1;
    }
    return null;
  }

  /** One up. A parent that was let go is looked up by `..`; when that is another directory by now, what is left in it is lost. */
  async #leave(): Promise<void> {
    const left = this.#levels.pop();
    const parent = this.#levels.at(-1);
    if (left?.pin && parent && parent.pin === null) {
      const found = await enter(left.pin, '..');
      if (found?.identity() === parent.identity) parent.pin = found;
      else found?.close();
    }
    if (this.#levels.length > 0) left?.pin?.close();
  }
}

async function enter(dir: Pin, name: string): Promise<Pin | null> {
  return open(dir.atBytes(name), ENTER).then(
    (fd) => new Pin(fd),
    () => null,
  );
}
