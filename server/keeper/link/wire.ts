// Messages between gateway and keeper as bytes: a length, then MessagePack. Pure: it knows no socket and no message's meaning, and holds no
// more than one message.
import { decode, encode } from '@msgpack/msgpack';

/** Changes whenever one side could misunderstand the other. */
export const LINK_VERSION = 3;

/** All output that two commands may keep, and something for the rest. */
export const MAX_MESSAGE_BYTES = 512 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** The other side speaks something else: its connection is of no use any more. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** Stands for bytes that are not copied into their message, and ends it. */
export const BYTES_BEHIND = new Uint8Array(0);
/** BYTES_BEHIND as MessagePack, in whose place comes the mark of bytes and a length of four bytes. */
const PLACEHOLDER_BYTES = 2;
const BYTES_MARK = 0xc6;

/**
 * One message in parts, its length before it. A field that is undefined is left out. `bytes` are sent as they are, in place of BYTES_BEHIND, which
 * then has to be the last value in it: a flood is copied less often.
 */
export function encodeMessage(message: unknown, bytes?: Uint8Array): readonly Uint8Array[] {
  const body = encode(message, { ignoreUndefined: true });
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  if (bytes === undefined) {
    length.writeUInt32BE(body.length);
    return [length, body];
  }
  const head = Buffer.allocUnsafe(1 + LENGTH_BYTES);
  head[0] = BYTES_MARK;
  head.writeUInt32BE(bytes.length, 1);
  const before = body.subarray(0, body.length - PLACEHOLDER_BYTES);
  length.writeUInt32BE(before.length + head.length + bytes.length);
  return [length, before, head, bytes];
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
    this.#bytes -= length;
    const [first] = this.#pieces;
    if (first !== undefined && first.length > length) {
      this.#pieces[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    if (first?.length === length) {
      this.#pieces.shift();
      return first;
    }
    // What belongs to the next message is not copied.
    const taken = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const piece = this.#pieces.shift() ?? Buffer.alloc(length - at);
      const copied = piece.copy(taken, at);
      if (copied < piece.length) this.#pieces.unshift(piece.subarray(copied));
      at += copied;
    }
    return taken;
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
