// Asciicast v2 and v3 as text: encoding of headers and events, and decoding of a file that arrives in pieces.
// Pure: it reads no file and knows no clock, and it never holds more than one line.
import { type ChainHash, type ChainLink, LINK, parseLink, sealHash } from './chain.ts';
import { frameCodes } from './vocabulary.ts';

/** What slotcast itself says in the header of its recordings. */
export interface CastOrigin {
  readonly cast: string;
  readonly slot: string;
  readonly label: string | null;
  /** ms since 1970. */
  readonly startedAt: number;
}

export interface CastHeader {
  readonly version: 2 | 3;
  readonly cols: number;
  readonly rows: number;
  /** Value of TERM. */
  readonly termType?: string;
  /** Seconds since 1970. */
  readonly timestamp?: number;
  readonly title?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Only in recordings made here, v3. */
  readonly slotcast?: CastOrigin;
}

export interface CastEvent {
  /** Milliseconds since the cast began, an integer. */
  readonly timeMs: number;
  /** o, i, r, m, x, or whatever another program wrote. */
  readonly code: string;
  readonly data: string;
}

/** The last line of a recording that ended in order, a comment to every other program. */
export interface CastSeal {
  /** Seconds. */
  readonly duration: number;
  readonly frames: number;
  readonly commands: number;
  /** The gateway ended in the middle of it, and sealed it when it started again. */
  readonly recovered?: true;
  /** The end of its chain, see chain.ts; none in what older versions recorded. */
  readonly hash?: string;
}

/** Frames that could not be written, both inclusive; a comment to every other program. */
export interface CastGap {
  readonly from: number;
  readonly to: number;
}

/** Where a decoder can go on in the middle of a file: between two lines. */
export interface CastPlace {
  readonly version: 2 | 3;
  /** Bytes before it. */
  readonly offset: number;
  /** Of the last frame before it. */
  readonly seq: number;
  readonly timeMs: number;
}

/** Where a line stands in the file, in bytes: its first one, and the one after its newline. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** `seq` is the number of a frame in its log; an event of an unknown code is no frame and has that of the frame before. */
export type CastItem = Place &
  (
    | { readonly kind: 'header'; readonly header: CastHeader }
    | ({ readonly kind: 'event'; readonly seq: number } & CastEvent)
    | { readonly kind: 'gap'; readonly gap: CastGap }
    | { readonly kind: 'link'; readonly link: ChainLink }
    | { readonly kind: 'seal'; readonly seal: CastSeal }
  );

/** A line that is no asciicast. Everything before `offset` is sound. */
export class CastError extends Error {
  override readonly name = 'CastError';
  /** The first line is 1. */
  readonly line: number;
  /** Bytes before the line. */
  readonly offset: number;

  constructor(message: string, line: number, offset: number) {
    super(`line ${line}: ${message}`);
    this.line = line;
    this.offset = offset;
  }
}

export const SEAL = '# slotcast end ';
export const GAP = '# slotcast gap ';
const NEWLINE = 10;
const BYTE_ORDER_MARK = 0xfeff;
/** A frame has at most 64 KiB of text, six times that when all of it is escaped; other programs write longer lines. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Bytes decoded at once: V8 keeps strings of over 128 KiB apart, and to make one takes as long as to parse it. */
const TEXT_BYTES = 32 * 1024;

/** What the numbers of a damaged file may be at most, so that one can count on with them: a Date's range, and more than any file has. */
const MAX_SECONDS = 8_640_000_000_000;
const MAX_COUNT = 2 ** 52;
const MAX_SIZE = 2 ** 31;
/** As on the wire. */
const MAX_SLOT_CHARS = 64;

const known: ReadonlySet<string> = new Set(frameCodes);
/** Codes that asciicast v2 knows. */
const knownToV2: ReadonlySet<string> = new Set(['o', 'i', 'r', 'm']);

/** The header as a line, newline included. */
export function encodeHeader(header: CastHeader): string {
  const { cols, rows, termType, timestamp, title, env, slotcast } = header;
  const size =
    header.version === 3
      ? { version: 3, term: { cols, rows, type: termType } }
      : { version: 2, width: cols, height: rows };
  const environment = header.version === 2 && termType !== undefined ? { ...env, TERM: termType } : env;
  const origin = header.version === 3 ? slotcast : undefined;
  return `${JSON.stringify({ ...size, timestamp, title, env: environment, slotcast: origin })}\n`;
}

export function encodeSeal(seal: CastSeal): string {
  return `${SEAL}${JSON.stringify(seal)}\n`;
}

/** The seal at the end of a chain: with the hash that stands for the whole recording. */
export function encodeChainSeal(seal: CastSeal, previous: ChainLink, hash: ChainHash): string {
  const unhashed = encodeSeal(seal).slice(0, -'}\n'.length);
  return encodeSeal({ ...seal, hash: sealHash(previous, unhashed, hash) });
}

export function encodeGap(gap: CastGap): string {
  return `${GAP}${JSON.stringify(gap)}\n`;
}

/**
 * Events as lines. v3 has intervals and v2 absolute times, both in seconds to the millisecond; as all times are whole
 * milliseconds, the intervals add up without an error.
 */
export class CastEncoder {
  readonly version: 2 | 3;
  /** Time of the last event. */
  timeMs: number;

  constructor(version: 2 | 3, timeMs = 0) {
    this.version = version;
    this.timeMs = timeMs;
  }

  /** The event as a line, newline included; empty when the version has no such event. */
  encode(event: CastEvent): string {
    if (this.version === 2 && !knownToV2.has(event.code)) return '';
    const timeMs = Math.max(this.timeMs, Math.round(event.timeMs));
    const shownMs = this.version === 3 ? timeMs - this.timeMs : timeMs;
    this.timeMs = timeMs;
    return `[${(shownMs / 1000).toFixed(3)}, ${JSON.stringify(event.code)}, ${JSON.stringify(event.data)}]\n`;
  }
}

/**
 * Decodes a file that is fed in pieces, cut anywhere. Empty lines and foreign comments are skipped, unknown codes are kept, times never
 * go back, and a last line without its newline is not given out: it may be torn.
 */
export class CastDecoder {
  /** The line that has begun, in the pieces it came in. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #offset = 0;
  #line = 0;
  #version: 2 | 3 | null = null;
  /** Microseconds, so that other programs' finer intervals add up too. */
  #timeUs = 0;
  #seq = 0;
  /** Marks of the byte order are left out of each line by itself, since many lines are decoded at once. */
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true });

  /** `from`: a place of the file that is not its beginning. */
  constructor(from: CastPlace | null = null) {
    if (from === null) return;
    this.#version = from.version;
    this.#offset = from.offset;
    this.#seq = from.seq;
    this.#timeUs = from.timeMs * 1000;
  }

  /** The line that has begun and not ended. */
  get rest(): string {
    return this.#text.decode(join(this.#pieces, this.#pieceBytes));
  }

  /** Bytes up to the end of the last whole line. */
  get offset(): number {
    return this.#offset;
  }

  /** What the lines that this piece completes say. Throws CastError at a line that is no asciicast, after what came before it. */
  *decode(piece: Uint8Array): Generator<CastItem, void, undefined> {
    let from = 0;
    if (this.#pieces.length > 0) {
      from = piece.indexOf(NEWLINE) + 1;
      if (from > 0) yield* this.#lines(this.#joined(piece.subarray(0, from)));
    }
    const end = piece.lastIndexOf(NEWLINE) + 1;
    while (from < end) {
      const to = endOfLines(piece, from);
      yield* this.#lines(piece.subarray(from, to));
      from = to;
    }
    if (end < piece.length) this.#keep(Uint8Array.prototype.slice.call(piece, end));
  }

  /** What whole lines say. Decoded at once: to decode each by itself takes as long as to parse it. */
  *#lines(bytes: Uint8Array): Generator<CastItem, void, undefined> {
    const text = this.#text.decode(bytes);
    // Where there are as many characters as bytes, each is one, and the ends of lines need not be looked for twice.
    const isPlain = text.length === bytes.length;
    const base = this.#offset;
    let end = 0;
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from);
      end = isPlain ? to + 1 : bytes.indexOf(NEWLINE, end) + 1;
      const line = text.slice(text.charCodeAt(from) === BYTE_ORDER_MARK ? from + 1 : from, to);
      from = to + 1;
      this.#line++;
      const item = this.#item(line, base + end);
      this.#offset = base + end;
      if (item !== null) yield item;
    }
  }

  /** `piece` is a copy: a Buffer's own slice() would share the memory of the reader, who uses it again. */
  #keep(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
    if (this.#pieceBytes > MAX_LINE_BYTES) throw this.#error(`longer than ${MAX_LINE_BYTES} bytes`, this.#line + 1);
  }

  #joined(last: Uint8Array): Uint8Array {
    const bytes = join([...this.#pieces, last], this.#pieceBytes + last.length);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return bytes;
  }

  /** What the line says that begins at #offset. */
  #item(line: string, end: number): CastItem | null {
    const start = this.#offset;
    if (this.#version === null) {
      const header = this.#header(line);
      this.#version = header.version;
      return { kind: 'header', header, start, end };
    }
    if (line.startsWith('[')) return this.#event(line, end);
    if (line.startsWith('#')) return this.#comment(line, { start, end });
    if (line.trim() === '') return null;
    throw this.#error('neither an event nor a comment');
  }

  #header(line: string): CastHeader {
    const given = this.#parse(line);
    if (!isRecord(given)) throw this.#error('no asciicast header');
    const { version } = given;
    if (version !== 2 && version !== 3) throw this.#error('not asciicast version 2 or 3');
    const term = isRecord(given['term']) ? given['term'] : {};
    const environment = isRecord(given['env']) ? stringsOf(given['env']) : undefined;
    const cols = version === 3 ? term['cols'] : given['width'];
    const rows = version === 3 ? term['rows'] : given['height'];
    if (!isSize(cols) || !isSize(rows)) throw this.#error('the header has no size');
    const termType = version === 3 ? term['type'] : environment?.['TERM'];
    const { timestamp, title, slotcast } = given;
    return {
      version,
      cols,
      rows,
      ...(typeof termType === 'string' ? { termType } : {}),
      ...(isMoment(timestamp, MAX_SECONDS) ? { timestamp } : {}),
      ...(typeof title === 'string' ? { title } : {}),
      ...(environment === undefined ? {} : { env: environment }),
      ...(isOrigin(slotcast) ? { slotcast } : {}),
    };
  }

  #event(line: string, end: number): CastItem | null {
    const given = this.#parse(line);
    if (!Array.isArray(given)) throw this.#error('no event');
    const [time, code, data]: unknown[] = given;
    if (typeof time !== 'number' || typeof code !== 'string' || code === '') throw this.#error('no event');
    const givenUs = Math.round(time * 1_000_000);
    const timeUs = this.#version === 3 ? this.#timeUs + Math.max(0, givenUs) : Math.max(this.#timeUs, givenUs);
    // Behind such a number nothing adds up any more, and JSON has no word for an infinite one.
    if (!Number.isSafeInteger(timeUs)) throw this.#error('the time of the event is too large');
    this.#timeUs = timeUs;
    if (known.has(code)) {
      if (typeof data !== 'string') throw this.#error('the data of the event is no text');
      this.#seq++;
    } else if (typeof data !== 'string') return null;
    const timeMs = Math.round(this.#timeUs / 1000);
    return { kind: 'event', seq: this.#seq, timeMs, code, data, start: this.#offset, end };
  }

  #comment(line: string, place: Place): CastItem | null {
    if (line.startsWith(SEAL)) {
      const seal = parseSeal(line);
      return seal === null ? null : { kind: 'seal', seal, ...place };
    }
    if (line.startsWith(LINK)) {
      const link = parseLink(line);
      return link === null ? null : { kind: 'link', link, ...place };
    }
    if (!line.startsWith(GAP)) return null;
    const gap = this.#parse(line.slice(GAP.length));
    if (!isGap(gap)) return null;
    this.#seq = Math.max(this.#seq, gap.to);
    return { kind: 'gap', gap, ...place };
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.#error('no JSON');
    }
  }

  #error(message: string, line = this.#line): CastError {
    return new CastError(message, line, this.#offset);
  }
}

/** The seal that a whole line is, with or without its newline; null when it is none. */
export function parseSeal(line: string): CastSeal | null {
  if (!line.startsWith(SEAL)) return null;
  try {
    const seal: unknown = JSON.parse(line.slice(SEAL.length));
    return isSeal(seal) ? seal : null;
  } catch {
    return null;
  }
}

/** Where the last line ends that fits into a text; of a longer one its own end. */
function endOfLines(piece: Uint8Array, from: number): number {
  const last = piece.lastIndexOf(NEWLINE, from + TEXT_BYTES - 1);
  return (last >= from ? last : piece.indexOf(NEWLINE, from)) + 1;
}

function join(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

type Given = Readonly<Record<string, unknown>>;

const isRecord = (given: unknown): given is Given =>
  typeof given === 'object' && given !== null && !Array.isArray(given);
const isSize = (given: unknown): given is number => Number.isInteger(given) && isWithin(given, MAX_SIZE);
const isSeal = (given: unknown): given is CastSeal =>
  isRecord(given) && isWithin(given['duration'], MAX_SECONDS) && isCount(given['frames']) && isCount(given['commands']);
const isGap = (given: unknown): given is CastGap => isRecord(given) && isCount(given['from']) && isCount(given['to']);
const isCount = (given: unknown): given is number => Number.isInteger(given) && isWithin(given, MAX_COUNT);
const isMoment = (given: unknown, most: number): given is number =>
  typeof given === 'number' && isWithin(Math.abs(given), most);
const isWithin = (given: unknown, most: number): boolean => typeof given === 'number' && given >= 0 && given <= most;
const isOrigin = (given: unknown): given is CastOrigin =>
  isRecord(given) &&
  typeof given['cast'] === 'string' &&
  typeof given['slot'] === 'string' &&
  given['slot'].length <= MAX_SLOT_CHARS &&
  (given['label'] === null || typeof given['label'] === 'string') &&
  isMoment(given['startedAt'], MAX_SECONDS * 1000);

function stringsOf(given: Given): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
