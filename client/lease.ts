// What a client has to know to come back to its lease: the resume secret, and what of each streamed command has arrived, so that none of it comes
// twice and none is missed.
import type { Notice } from '../protocol/contract.ts';
import type { Acquired } from '../protocol/slot.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';

/** What is told of a command. */
export type Notified = { readonly output: Notice<'exec.output'> } | { readonly exit: Notice<'exec.exit'> };

type Output = Notice<'exec.output'>;
type StreamName = Output['stream'];
/** As in the params of slot.acquire. */
export type Received = Record<string, Record<StreamName, number>>;

export class Lease {
  #acquired: Acquired | null = null;
  readonly #processes = new Map<string, Record<StreamName, Arrival>>();

  /** Output may come before the reply that tells whose lease it is. */
  constructor(received: Received = {}) {
    for (const [process, { stdout, stderr }] of Object.entries(received)) {
      this.#processes.set(process, { stdout: new Arrival(stdout), stderr: new Arrival(stderr) });
    }
  }

  /** null until the gateway has replied. */
  get acquired(): Acquired | null {
    return this.#acquired;
  }

  bind(acquired: Acquired): void {
    this.#acquired = acquired;
  }

  /** A command whose output or end will be told. */
  started(process: string): void {
    this.#arrivals(process);
  }

  ended(process: string): void {
    this.#processes.delete(process);
  }

  /** What of this output is new; null when nothing is. */
  accept(output: Output): Output | null {
    return this.#arrivals(output.process)[output.stream].accept(output);
  }

  /** Where each command's output is to go on; after it, what comes is expected to start there. */
  received(): Received {
    const received: Received = {};
    for (const [process, { stdout, stderr }] of this.#processes) {
      received[process] = { stdout: stdout.resumeAt(), stderr: stderr.resumeAt() };
    }
    return received;
  }

  #arrivals(process: string): Record<StreamName, Arrival> {
    const known = this.#processes.get(process);
    if (known !== undefined) return known;
    const fresh = { stdout: new Arrival(0), stderr: new Arrival(0) };
    this.#processes.set(process, fresh);
    return fresh;
  }
}

/** How far one stream has arrived. */
class Arrival {
  /** Bytes that surely have arrived. */
  #bytes: number;
  /** Where the stream can be taken up, and how many characters of what comes then are known. */
  #resume: { readonly at: number; readonly known: number };
  /** Characters of a repeated piece that are still to be left out. */
  #skip = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#resume = { at: bytes, known: 0 };
  }

  resumeAt(): number {
    this.#skip = this.#resume.known;
    this.#bytes = this.#resume.at;
    return this.#resume.at;
  }

  accept(output: Output): Output | null {
    const fresh = this.#skip > 0 ? this.#withoutSkipped(output) : withoutBytes(output, this.#bytes - output.offset);
    if (fresh !== null) this.#advance(output);
    return fresh;
  }

  #withoutSkipped(output: Output): Output | null {
    const skipped = output.data.slice(0, this.#skip);
    this.#skip -= skipped.length;
    const data = output.data.slice(skipped.length);
    return data === '' ? null : { ...output, data, offset: output.offset + leastBytes(skipped) };
  }

  #advance({ data, offset, encoding }: Output): void {
    if (encoding === 'base64') {
      this.#bytes = offset + base64Bytes(data);
      this.#resume = { at: this.#bytes, known: 0 };
      return;
    }
    const bytes = leastBytes(data);
    this.#bytes = offset + bytes;
    // A replacement character stands for one to three bytes, so only the piece's beginning is known for sure.
    const isExact = !data.includes('\ufffd');
    this.#resume = isExact ? { at: this.#bytes, known: 0 } : { at: offset, known: data.length };
  }
}

/** The output without so many bytes at its beginning. */
function withoutBytes(output: Output, count: number): Output | null {
  if (count <= 0) return output;
  const bytes = output.encoding === 'base64' ? decodeBase64(output.data) : new TextEncoder().encode(output.data);
  if (count >= bytes.length) return null;
  const rest = bytes.subarray(count);
  const data = output.encoding === 'base64' ? encodeBase64(rest) : new TextDecoder().decode(rest);
  return { ...output, data, offset: output.offset + count };
}

/** Bytes that the text surely stands for: it may have been any byte where a replacement character is. */
function leastBytes(text: string): number {
  let replaced = 0;
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) replaced++;
  return new TextEncoder().encode(text).length - 2 * replaced;
}

function base64Bytes(data: string): number {
  const padding = data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0;
  return (data.length / 4) * 3 - padding;
}
