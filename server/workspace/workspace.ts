// The workspace of one slot: all that is done to its files from outside of the sandbox. Everything in it is the payload's and hostile.
import { type ArchiveCount, type ArchiveOrder, type ArchiveStream, packArchive, packStream } from './archive.ts';
import { type FileStat, type MoveOrder, makeDirectory, movePath, removePath, statPath } from './change.ts';
import { Door, type Owner } from './door.ts';
import { type Listing, type ListOrder, listDirectory } from './list.ts';
import {
  type ByteRange,
  type FileContent,
  type FileFacts,
  type FileStream,
  openRead,
  type ReadOrder,
  readContent,
} from './read.ts';
import { ENDLESS, type Space, type StreamTerms, type WriteOrder, Writer, type Written } from './write.ts';

/**
 * Paths are relative to the workspace, or absolute below /workspace. `..` is resolved in the text, and what leaves at any point is
 * PATH_OUTSIDE. Symbolic links are never followed: one on the way, or at the end of a path to read, list or archive, is PATH_OUTSIDE;
 * one that a write would replace is WRONG_FILE_KIND; stat, remove and move act on the link itself.
 * Every call may throw INVALID_PARAMS, PATH_OUTSIDE, FILE_NOT_FOUND, WRONG_FILE_KIND and FORBIDDEN (permissions). It holds nothing between calls.
 */
export class Workspace {
  readonly #door: Door;
  readonly #writer: Writer;
  readonly #space: Space;

  /** `root`: directory of the host. `owner`: whom new files belong to; null when the gateway is an ordinary user. */
  constructor(place: {
    readonly root: string;
    readonly owner: Owner | null;
    readonly space?: Space;
    readonly drafts?: string;
  }) {
    const { space = ENDLESS, owner, drafts = null } = place;
    this.#door = new Door(place);
    this.#space = space;
    this.#writer = new Writer(this.#door, { owner, space, drafts });
  }

  /** Removes the drafts that a gateway which was killed has left. Called before anything is written. */
  sweep(): void {
    this.#writer.sweep();
  }

  read(order: ReadOrder): Promise<FileContent> {
    return readContent(this.#door, order);
  }

  /** For HTTP. `range` may be a function of the facts, so that preconditions are judged on the very file that is streamed; what it throws is thrown. */
  openRead(path: string, range?: ByteRange | ((facts: FileFacts) => ByteRange)): Promise<FileStream> {
    return openRead(this.#door, path, range);
  }

  /** @throws HASH_MISMATCH, NO_SPACE, TOO_LARGE */
  write(order: WriteOrder): Promise<Written> {
    return this.#writer.write(order);
  }

  /** @throws HASH_MISMATCH, NO_SPACE, TOO_LARGE, CANCELLED when the source fails before its end */
  writeStream(path: string, source: AsyncIterable<Uint8Array>, terms: StreamTerms): Promise<Written> {
    return this.#writer.writeStream(path, source, terms);
  }

  list(order: ListOrder = {}): Promise<Listing> {
    return listDirectory(this.#door, order);
  }

  stat(path: string): Promise<FileStat> {
    return statPath(this.#door, path);
  }

  remove(order: { readonly path: string; readonly recursive?: boolean }): Promise<void> {
    return removePath(this.#door, order);
  }

  /** @throws NO_SPACE */
  async mkdir(path: string): Promise<void> {
    await this.#space.left(0);
    await makeDirectory(this.#door, path);
    this.#space.taken(0, 1);
  }

  move(order: MoveOrder): Promise<void> {
    return movePath(this.#door, order);
  }

  /** @throws TOO_LARGE */
  archive(order: ArchiveOrder = {}): Promise<ArchiveCount & { readonly data: Buffer }> {
    return packArchive(this.#door, order);
  }

  archiveStream(order: ArchiveOrder = {}): Promise<ArchiveStream> {
    return packStream(this.#door, order);
  }
}
