// What a terminal.run printed: line ends as the program wrote them, head and tail within a limit, every byte counted.
// It never holds more than the limit.

export interface KeptText {
  readonly output: string;
  /** Of everything that was printed, also what was left out. */
  readonly outputBytes: number;
  readonly truncated: boolean;
}

/** Longer than a trace of `. file` in any sensible PS4. */
const MAX_TRACE_CHARS = 4096;

export class RunOutput {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #total = 0;
  /** A carriage return whose line feed may be in the next chunk. */
  #carry = '';
  /** The beginning, until it is known whether it is the shell's trace of our own line; null afterwards. */
  #start: string | null = '';
  readonly #script: string;

  /** `script` is the file that the shell sources: under `set -x` it says so, which is none of the command's output. */
  constructor(maxBytes: number, script: string) {
    this.#headLimit = Math.ceil(maxBytes / 2);
    this.#tailLimit = maxBytes - this.#headLimit;
    this.#script = script;
  }

  push(text: string): void {
    const joined = this.#carry + text;
    this.#carry = joined.endsWith('\r') ? '\r' : '';
    const whole = this.#carry === '' ? joined : joined.slice(0, -1);
    this.#begin(whole.replaceAll('\r\n', '\n'));
  }

  /** Nothing follows. */
  end(): KeptText {
    this.#begin(this.#carry);
    this.#carry = '';
    this.#release();
    if (this.#total <= this.#headLimit + this.#tailLimit) {
      return { output: utf8([...this.#head, ...this.#tail]), outputBytes: this.#total, truncated: false };
    }
    const head = wholeStart(Buffer.concat(this.#head));
    const tail = wholeEnd(Buffer.concat(this.#tail), this.#tailLimit);
    const left = this.#total - head.length - tail.length;
    const output = `${head.toString()}\n[… ${left} bytes left out …]\n${tail.toString()}`;
    return { output, outputBytes: this.#total, truncated: true };
  }

  #begin(text: string): void {
    if (this.#start === null) return this.#keep(text);
    this.#start += text;
    if (this.#start.length > MAX_TRACE_CHARS || this.#start.includes('\n')) this.#release();
  }

  #release(): void {
    if (this.#start === null) return;
    const text = this.#start;
    this.#start = null;
    const line = text.indexOf('\n');
    this.#keep(line !== -1 && text.slice(0, line).endsWith(` . ${this.#script}`) ? text.slice(line + 1) : text);
  }

  #keep(text: string): void {
    if (text === '') return;
    const bytes = Buffer.from(text);
    this.#total += bytes.length;
    const room = this.#headLimit - this.#headBytes;
    if (room > 0) {
      this.#head.push(bytes.subarray(0, room));
      this.#headBytes += Math.min(room, bytes.length);
    }
    const rest = bytes.subarray(Math.max(0, room));
    if (rest.length === 0 || this.#tailLimit === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    for (let first = this.#tail[0]; first && this.#tailBytes - first.length >= this.#tailLimit; first = this.#tail[0]) {
      this.#tail.shift();
      this.#tailBytes -= first.length;
    }
  }
}

const utf8 = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString();
const continues = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** Without a character at the end that was cut in two. */
function wholeStart(bytes: Buffer): Buffer {
  let start = bytes.length - 1;
  while (start > 0 && continues(bytes[start])) start--;
  const first = bytes[start] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return start + length > bytes.length ? bytes.subarray(0, Math.max(0, start)) : bytes;
}

/** The last bytes, without a character at the front that was cut in two. */
function wholeEnd(bytes: Buffer, limit: number): Buffer {
  let from = Math.max(0, bytes.length - limit);
  while (continues(bytes[from])) from++;
  return bytes.subarray(from);
}
