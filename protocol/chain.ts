// The chain of a recording: comment lines that vouch for every line before them, so that none can be changed without a trace.
// A link closes a section: the link before it (or nothing, for the header) and the lines since. Pure: whoever uses it brings the hashes.

/** SHA-256 over what is given to it, in order. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** base64url. Called once. */
  digest(): string;
}

/** What the host computes faster than this file could. */
export interface ChainHash {
  sha256(): Sha256;
  /** CRC-32 as zlib has it, going on from the value so far; the first one is 0. */
  crc32(bytes: Uint8Array, value: number): number;
}

export interface ChainLink {
  /** Its own number in the file; the first line is 1. */
  readonly line: number;
  /** SHA-256 of its section, base64url. */
  readonly hash: string;
  /** The checks of the section's lines, four characters each: they only name the line that doesn't fit, the hash is the proof. */
  readonly checks: string;
}

/** Four times what a recorder writes at once, so that a lost link doesn't end a walk; it bounds the memory of one. */
export const MAX_SECTION_LINES = 16 * 1024;
const CHECK_CHARS = 4;
/** The longest link: its checks, and room for the rest. */
export const MAX_LINK_BYTES = MAX_SECTION_LINES * CHECK_CHARS + 256;
export const LINK = '# slotcast link ';
const NEWLINE = 10;
/** Below this a loop is faster than a call to the host. */
const LOOP_BYTES = 128;

export const encodeLink = ({ line, hash, checks }: ChainLink): string =>
  `${LINK}{"line":${line},"hash":"${hash}","checks":"${checks}"}\n`;

/** The link that a line is, without its newline; null unless it is written exactly as `encodeLink` does. */
export function parseLink(text: string): ChainLink | null {
  const [, line, hash, checks] =
    /^# slotcast link \{"line":(\d{1,15}),"hash":"([\w-]{43})","checks":"((?:[\w-]{4})*)"\}$/.exec(text) ?? [];
  if (line === undefined || hash === undefined || checks === undefined || line !== String(Number(line))) return null;
  return { line: Number(line), hash, checks };
}

/** One section as its lines pass by, in pieces cut anywhere. It holds a number for each line. */
export class Section {
  /** CRC-32 of the whole lines so far. */
  readonly checks: number[] = [];
  /** Number of its first line. */
  readonly firstLine: number;
  readonly #hash: ChainHash;
  readonly #sha256: Sha256;
  /** Of the line that has begun: its check so far. */
  #check = 0;

  /** Goes on from a link, or from nothing: then its first line is the header. */
  constructor(previous: ChainLink | null, hash: ChainHash) {
    this.#hash = hash;
    this.#sha256 = hash.sha256();
    this.firstLine = previous?.line ?? 1;
    if (previous !== null) this.take(new TextEncoder().encode(encodeLink(previous)));
  }

  /** Number of the line after its last whole one. */
  get nextLine(): number {
    return this.firstLine + this.checks.length;
  }

  take(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + LOOP_BYTES);
      let check = ~this.#check;
      while (at < end && bytes[at] !== NEWLINE) check = step(check, bytes[at++] ?? 0);
      this.#check = ~check >>> 0;
      if (at === end && at < bytes.length) at = this.#takeLong(bytes, at);
      if (at < bytes.length) this.#endLine();
      at++;
    }
  }

  /** Called once, at its end. */
  digest(): string {
    return this.#sha256.digest();
  }

  /** The link that closes it. Called once instead of `digest`. */
  link(): ChainLink {
    return { line: this.nextLine, hash: this.digest(), checks: this.checks.map(checkText).join('') };
  }

  /** The rest of a long line; returns where its newline is. */
  #takeLong(bytes: Uint8Array, from: number): number {
    const found = bytes.indexOf(NEWLINE, from);
    const to = found === -1 ? bytes.length : found;
    this.#check = this.#hash.crc32(bytes.subarray(from, to), this.#check);
    return to;
  }

  #endLine(): void {
    this.checks.push(this.#check);
    this.#check = 0;
  }
}

/** The hash of a seal: of the link before it, and of the seal's own line up to the hash. */
export function sealHash(previous: ChainLink, unhashed: string, hash: ChainHash): string {
  const sha256 = hash.sha256();
  sha256.update(new TextEncoder().encode(encodeLink(previous) + unhashed));
  return sha256.digest();
}

/** 24 bits of it as base64url. */
export function checkText(check: number): string {
  const bits = (check ^ (check >>> 24)) & 0xffffff;
  return digit(bits >>> 18) + digit(bits >>> 12) + digit(bits >>> 6) + digit(bits);
}

/** How many checks there are in a link, and one of them. */
export const checkCount = ({ checks }: ChainLink): number => checks.length / CHECK_CHARS;
export const checkAt = ({ checks }: ChainLink, index: number): string =>
  checks.slice(index * CHECK_CHARS, (index + 1) * CHECK_CHARS);

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const digit = (bits: number): string => DIGITS[bits & 63] ?? '';

/** CRC-32 of IEEE 802.3, as zlib and PNG have it. */
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const step = (check: number, byte: number): number => (check >>> 8) ^ (TABLE[(check ^ byte) & 255] ?? 0);
