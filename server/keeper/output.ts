// What is kept of one stream: the first half of the limit and the last half, with an exact count of all bytes. Memory grows with what was printed, never above the limit.
import type { KeptOutput } from './keeper.ts';

/** First size of a buffer: most commands print less. */
const FIRST_BYTES = 4096;

export class OutputKeeper {
  total = 0;
  readonly #headBytes: number;
  readonly #tailBytes: number;
  #head: Buffer = Buffer.alloc(0);
  #headLength = 0;
  /** A ring once it has its full size; its oldest byte is at #tailStart. */
  #tail: Buffer = Buffer.alloc(0);
  #tailStart = 0;
  #tailLength = 0;
  #last: KeptOutput | null = null;

  /** `maxBytes`: kept at most. */
  constructor(maxBytes: number) {
    this.#headBytes = Math.ceil(maxBytes / 2);
    this.#tailBytes = maxBytes - this.#headBytes;
  }

  append(data: Buffer): void {
    this.total += data.length;
    const toHead = Math.min(data.length, this.#headBytes - this.#headLength);
    if (toHead > 0) {
      this.#head = grown(this.#head, this.#headLength + toHead, this.#headBytes);
      data.copy(this.#head, this.#headLength, 0, toHead);
      this.#headLength += toHead;
    }
    if (toHead < data.length && this.#tailBytes > 0) this.#appendTail(data.subarray(toHead));
  }

  /** As of now; it doesn't change afterwards. Cheap while nothing is added. */
  kept(): KeptOutput {
    if (this.#last?.total === this.total) return this.#last;
    // The head is only ever added to, so a view of it stays true; the ring is not.
    const head = this.#head.subarray(0, this.#headLength);
    const first = this.#tail.subarray(this.#tailStart, this.#tailStart + this.#tailLength);
    const wrapped = this.#tail.subarray(0, this.#tailLength - first.length);
    this.#last = { head, tail: Buffer.concat([first, wrapped]), total: this.total };
    return this.#last;
  }

  #appendTail(given: Buffer): void {
    const data = given.subarray(Math.max(0, given.length - this.#tailBytes));
    if (this.#tail.length < this.#tailBytes) {
      // Not yet a ring: it starts at 0.
      this.#tail = grown(this.#tail, this.#tailLength + data.length, this.#tailBytes);
    }
    const size = this.#tail.length;
    const end = (this.#tailStart + this.#tailLength) % size;
    const copied = data.copy(this.#tail, end);
    data.copy(this.#tail, 0, copied);
    const over = Math.max(0, this.#tailLength + data.length - size);
    this.#tailStart = (this.#tailStart + over) % size;
    this.#tailLength += data.length - over;
  }
}

/** Room for `needed` bytes, doubled each time, at most `limit`. */
function grown(buffer: Buffer, needed: number, limit: number): Buffer {
  if (buffer.length >= needed) return buffer;
  const size = Math.min(limit, Math.max(needed, buffer.length * 2, FIRST_BYTES));
  const larger = Buffer.allocUnsafeSlow(size);
  buffer.copy(larger);
  return larger;
}
