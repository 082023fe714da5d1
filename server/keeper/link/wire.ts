// Messages between gateway and keeper as bytes: a length, then MessagePack. Pure: it knows no socket and no message's meaning, and holds no
// more than one message.
import { decode, encode } from '@msgpack/msgpack';

/** Changes whenever one side could misunderstand the other. */
export const LINK_VERSION = 2;

/** All output that two commands may keep, and something for the rest. */
export const MAX_MESSAGE_BYTES = 512 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** The other side speaks something else: its connection is of no use any more. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** One message, its length before it. A field that is undefined is left out. */
export function encodeMessage(message: unknown): readonly [Buffer, Uint8Array] {
  const body = encode(message, { ignoreUndefined: true });
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return [length, body];
}

export class MessageDecoder {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the message that has begun; null until its length is there. */
  #length: number | null = null;

  /** The messages that this piece completes; what is bytes in them is a view of memory of their own. Throws LinkError. */
  *decode(piece: Buffer): Generator<unknown, void, undefined> {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    for (;;) {
      this.#length ??= this.#bytes < LENGTH_BYTES ? null : this.#take(LENGTH_BYTES).readUInt32BE();
      if (this.#length === null) return;
      if (this.#length > MAX_MESSAGE_BYTES) throw new LinkError(`a message of ${this.#length} bytes`);
      if (this.#bytes < this.#length) return;
      const body = this.#take(this.#length);
      this.#length = null;
      yield parse(body);
    }
  }

  #take(length: number): Buffer {
    let [first] = this.#pieces;
    if (first === undefined || first.length < length) {
      first = Buffer.concat(this.#pieces);
      this.#pieces = [first];
    }
    this.#bytes -= length;
    if (first.length === length) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(length);
    return first.subarray(0, length);
  }
}

function parse(body: Buffer): unknown {
  try {
    return decode(body);
  } catch (error) {
    throw new LinkError(`no message: ${(error as Error).message}`);
  }
}

/** Bytes of a message as a Buffer over the same memory. */
export const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
