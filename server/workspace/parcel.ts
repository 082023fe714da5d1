// What goes into an archive for one file: read whole when it is small, as a stream of exactly its first size when it is not.
// Must never open anything but a regular file, nor give a byte more than the size that it told.
import type { Stats } from 'node:fs';
import { Readable } from 'node:stream';
import { open, Pin, READ, READ_PINNED, read } from './pin.ts';

/** One read, and eight of them at once are 2 MiB. */
const SMALL_BYTES = 256 * 1024;

export interface Parcel {
  readonly stat: Stats;
  /** Of the content; known before it is read. */
  readonly size: number;
  readonly content: Buffer | Readable;
  /** The file was cut while it was read; the rest is zeros, since the size stands in front of it. */
  padded(): boolean;
}

/**
 * Hard links are packed like any file: a payload can only link to what lies in the same mount, and that is its own workspace.
 * @returns null when it is gone, no regular file any more, or not to be read
 */
export async function openParcel(dir: Pin, name: string): Promise<Parcel | null> {
  const fd = await open(dir.atBytes(name), READ).catch(() => null);
  return fd === null ? null : pack(new Pin(fd));
}

/** The same for a file that is pinned already. `file` stays the caller's. */
export async function parcelOf(file: Pin): Promise<Parcel | null> {
  return pack(new Pin(await open(file.path, READ_PINNED)));
}

async function pack(pin: Pin): Promise<Parcel | null> {
  let streams = false;
  try {
    const stat = pin.stat();
    if (!stat.isFile()) return null;
    if (stat.size <= SMALL_BYTES) return { stat, size: stat.size, ...(await readSmall(pin, stat.size)) };
    streams = true;
    return { stat, size: stat.size, ...streamOf(pin, stat.size) };
  } catch {
    return null;
  } finally {
    if (!streams) pin.closeNow();
  }
}

async function readSmall(pin: Pin, size: number): Promise<Pick<Parcel, 'content' | 'padded'>> {
  const content = Buffer.allocUnsafe(size);
  const filled = await fill(pin, content, 0);
  content.fill(0, filled);
  return { content, padded: () => filled < size };
}

/** Never fails: what cannot be read is zeros, and counted. */
function streamOf(pin: Pin, size: number): Pick<Parcel, 'content' | 'padded'> {
  let padded = false;
  let position = 0;
  let reading: Promise<void> = Promise.resolve();
  const next = async (stream: Readable): Promise<void> => {
    const chunk = Buffer.allocUnsafe(Math.min(SMALL_BYTES, size - position));
    const filled = await fill(pin, chunk, position).catch(() => 0);
    padded ||= filled < chunk.length;
    chunk.fill(0, filled);
    position += chunk.length;
    stream.push(chunk);
    if (position === size) stream.push(null);
  };
  const content = new Readable({
    highWaterMark: SMALL_BYTES,
    read() {
      reading = next(this);
    },
    destroy(error, done) {
      // A read in flight knows the descriptor by its number only.
      reading.then(() => {
        pin.close();
        done(error);
      });
    },
  });
  return { content, padded: () => padded };
}

/** Reads until the buffer is full or the file ends; says how far it came. */
async function fill(pin: Pin, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await read(pin.fd, buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
