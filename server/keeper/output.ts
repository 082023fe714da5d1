// What is kept of one stream: the first half of the limit and the last half, with an exact count of all bytes. Memory grows with what was printed, never above the limit.
import type { KeptOutput } from './keeper.ts';

/** First size of a buffer: most commands print less. */
const FIRST_BYTES = 4096;
/** A buffer of this size is had in any case: half of what a command keeps of a stream when nothing is said. */
const FREE_BYTES = 512 * 1024;

/** Output that the running commands of a slot keep, beyond a megabyte of each stream: all that two may ask for. */
const SLOT_OUTPUT_BYTES = 256 * 1024 * 1024;

/** One budget for each slot. */
export class OutputBudgets {
  readonly #bySlot = new Map<string, OutputBudget>();

  of(slot: string): OutputBudget {
    const budget = this.#bySlot.get(slot) ?? new OutputBudget(SLOT_OUTPUT_BYTES);
    this.#bySlot.set(slot, budget);
    return budget;
  }
}

/** The memory that several keepers may take together, beyond what each has in any case. */
export class OutputBudget {
  #leftBytes: number;

  constructor(bytes: number) {
    this.#leftBytes = bytes;
  }

  /** False when there is not so much left. */
  take(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

export class OutputKeeper {
  total = 0;
  readonly #budget: OutputBudget | null;
  #taken = 0;
  #headBytes: number;
  #tailBytes: number;
  #head: Buffer = Buffer.alloc(0);
  #headLength = 0;
  /** A ring once it has its full size; its oldest byte is at #tailStart. */
  #tail: Buffer = Buffer.alloc(0);
  #tailStart = 0;
  #tailLength = 0;
  #last: KeptOutput | null = null;

  /** `maxBytes`: kept at most; less when the budget does not have it. */
  constructor(maxBytes: number, budget: OutputBudget | null = null) {
    this.#budget = budget;
    this.#headBytes = Math.ceil(maxBytes / 2);
    this.#tailBytes = maxBytes - this.#headBytes;
  }

  append(data: Buffer): void {
    this.total += data.length;
    const wanted = Math.min(data.length, this.#headBytes - this.#headLength);
    if (wanted > 0) this.#head = this.#grown(this.#head, this.#headLength + wanted, this.#headBytes);
    const toHead = Math.min(wanted, this.#head.length - this.#headLength);
    // What does not get larger now stays as it is: what comes later belongs to the tail.
    if (toHead < wanted) this.#headBytes = this.#head.length;
    if (toHead > 0) {
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

  /** Nothing is added any more: the budget is for others, and so is the room that was not needed. */
  end(): void {
    if (this.#headLength < this.#head.length / 2) {
      this.#head = resized(this.#head, this.#headLength);
      this.#last = null;
    }
    this.#budget?.give(this.#taken);
    this.#taken = 0;
  }

  /** Room for `needed` bytes, doubled each time, at most `limit`; less when the budget does not have it. */
  #grown(buffer: Buffer, needed: number, limit: number): Buffer {
    if (buffer.length >= needed) return buffer;
    const size = Math.min(limit, Math.max(needed, buffer.length * 2, FIRST_BYTES));
    const free = Math.min(size, Math.max(buffer.length, FREE_BYTES));
    if (size > free && this.#budget !== null) {
      if (!this.#budget.take(size - free)) return free > buffer.length ? resized(buffer, free) : buffer;
      this.#taken += size - free;
    }
    return resized(buffer, size);
  }

  #appendTail(given: Buffer): void {
    if (this.#tail.length < this.#tailBytes) {
      // Not yet a ring: it starts at 0.
      const needed = Math.min(this.#tailBytes, this.#tailLength + given.length);
      this.#tail = this.#grown(this.#tail, needed, this.#tailBytes);
      if (this.#tail.length < needed) this.#tailBytes = this.#tail.length;
    }
    const data = given.subarray(Math.max(0, given.length - this.#tailBytes));
    const size = this.#tail.length;
    const end = (this.#tailStart + this.#tailLength) % size;
    const copied = data.copy(this.#tail, end);
    data.copy(this.#tail, 0, copied);
    const over = Math.max(0, this.#tailLength + data.length - size);
    this.#tailStart = (this.#tailStart + over) % size;
    this.#tailLength += data.length - over;
  }
}

/** A copy of that size. */
function resized(buffer: Buffer, size: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(size);
  buffer.copy(larger);
  return larger;
}

/** Bytes that were printed and are not kept. */
export const leftOut = ({ head, tail, total }: KeptOutput): number => total - head.length - tail.length;

/** Of what is kept no more than `maxBytes`, again head and tail. */
export function shortened(output: KeptOutput, maxBytes: number): KeptOutput {
  const { head, tail, total } = output;
  if (head.length + tail.length <= maxBytes) return output;
  const keeper = new OutputKeeper(maxBytes);
  if (leftOut(output) === 0) {
    keeper.append(head);
    keeper.append(tail);
    return keeper.kept();
  }
  const headBytes = Math.min(head.length, Math.ceil(maxBytes / 2));
  const tailBytes = Math.min(tail.length, maxBytes - headBytes);
  return { head: head.subarray(0, headBytes), tail: tail.subarray(tail.length - tailBytes), total };
}

/** As text; what was left out is named in it. `pass` sees head and tail each by itself when something was. */
export function textOf(output: KeptOutput, pass: (text: string) => string = (text) => text): string {
  const { head, tail } = output;
  const missing = leftOut(output);
  if (missing === 0) return pass(Buffer.concat([head, tail]).toString('utf8'));
  const headEnd = wholeCharacters(head);
  let tailStart = 0;
  while (tailStart < Math.min(3, tail.length) && ((tail[tailStart] ?? 0) & 0xc0) === 0x80) tailStart++;
  const omitted = missing + (head.length - headEnd) + tailStart;
  const last = pass(tail.toString('utf8', tailStart));
  return `${pass(head.toString('utf8', 0, headEnd))}\n[… ${omitted} bytes left out …]\n${last}`;
}

/** Length without a character that is cut at the end; a byte that can't begin or continue one is whole by itself. */
export function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return byte < 0xf5 && needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
