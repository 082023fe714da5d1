// Walks a recording line by line along its chain, and names the first line that is not as it was recorded.
// Pure, and it holds a number for each line of one section at most, whatever the file is like.
import { type CastSeal, GAP, parseSeal, SEAL } from './asciicast.ts';
import {
  type ChainHash,
  type ChainLink,
  checkAt,
  checkCount,
  checkText,
  LINK,
  MAX_LINK_BYTES,
  MAX_SECTION_LINES,
  parseLink,
  Section,
  sealHash,
} from './chain.ts';

export interface Verdict {
  /** Its last line is a seal. */
  readonly sealed: boolean;
  /** It has a chain; recordings of older versions have none. */
  readonly chained: boolean;
  /** Sealed, chained, and every line is as it was recorded. */
  readonly ok: boolean;
  /** The gateway ended in the middle of it and sealed it afterwards. */
  readonly recovered: boolean;
  /** The first line that is not as it was recorded, or stands where another one is missing; the first one is 1. */
  readonly line?: number;
  /** Why it is not ok. */
  readonly reason?: string;
  /** Whole lines. */
  readonly lines: number;
  /** What stands for the whole recording; null unless it is ok. */
  readonly hash: string | null;
}

interface Bad {
  readonly line: number;
  readonly reason: string;
}

const NEWLINE = 10;
const codeOf = (sign: string): number => sign.charCodeAt(0);
const NUMBER_SIGN = codeOf('#');
const OPEN = codeOf('[');
const CLOSE = codeOf(']');

export class CastVerifier {
  readonly #hash: ChainHash;
  /** Since the last link that fits, which is its first line; null when there is nothing to find out any more. */
  #section: Section | null;
  /** The last one that fits. */
  #link: ChainLink | null = null;
  #seal: CastSeal | null = null;
  #chained = false;
  #bad: Bad | null = null;
  /** First line that no recorder writes: it counts unless the chain finds one before it. */
  #strange: Bad | null = null;
  /** Whole lines so far. */
  #lines = 0;
  #frames = 0;
  /** Of the line that has begun: its bytes, its first one, and its last one so far. */
  #bytes = 0;
  #first = 0;
  #last = 0;
  /** The line that has begun, in pieces; null when it is neither a comment nor the header, or longer than any link. */
  #kept: Uint8Array[] | null = null;

  constructor(hash: ChainHash) {
    this.#hash = hash;
    this.#section = new Section(null, hash);
  }

  /** The next bytes of the file. */
  take(piece: Uint8Array): void {
    /** What stands before is in the section, or kept. */
    let from = 0;
    for (let at = 0; at < piece.length; ) {
      const newline = piece.indexOf(NEWLINE, at);
      const end = newline === -1 ? piece.length : newline + 1;
      if (this.#isKept(piece[at] ?? 0)) {
        if (from < at) this.#section?.take(piece.subarray(from, at));
        this.#keep(piece.subarray(at, end));
        from = end;
      }
      this.#bytes += end - at;
      if (newline !== at) this.#last = piece[newline === -1 ? end - 1 : newline - 1] ?? 0;
      if (newline !== -1) this.#endLine();
      at = end;
    }
    if (from < piece.length) this.#section?.take(piece.subarray(from));
    if ((this.#section?.checks.length ?? 0) > MAX_SECTION_LINES) this.#drift();
  }

  /** After the last byte. */
  end(): Verdict {
    const torn = this.#bytes > 0;
    if (torn && this.#seal !== null) this.#blame(this.#lines + 1, AFTER_SEAL);
    const bad = this.#bad ?? this.#strange;
    const sealed = this.#seal !== null && !torn;
    const recovered = this.#seal?.recovered === true;
    const about = { sealed, chained: this.#chained, ok: false, recovered, lines: this.#lines, hash: null };
    if (!this.#chained) return { ...about, reason: 'it has no chain, as older versions recorded' };
    if (bad !== null) return { ...about, ...bad };
    if (!sealed) return { ...about, reason: this.#unsealed(torn) };
    return { ...about, ok: true, hash: this.#seal?.hash ?? null };
  }

  #unsealed(torn: boolean): string {
    const linked = this.#link?.line ?? 0;
    const end = torn ? `in the middle of line ${this.#lines + 1}` : `after line ${this.#lines}`;
    return `it ends ${end} without its seal${this.#lines > linked ? `; nothing vouches for what follows line ${linked}` : ''}`;
  }

  /** Whether the line that begins with this byte, or goes on, is kept until its end. */
  #isKept(byte: number): boolean {
    if (this.#bytes === 0) {
      this.#first = byte;
      this.#kept = byte === NUMBER_SIGN || this.#lines === 0 ? [] : null;
    }
    return this.#kept !== null;
  }

  /** Copies: the reader uses its memory again. */
  #keep(bytes: Uint8Array): void {
    this.#kept?.push(Uint8Array.prototype.slice.call(bytes));
    if (this.#bytes + bytes.length > MAX_LINK_BYTES) this.#release();
  }

  /** What was kept is a line like any other. */
  #release(): void {
    for (const bytes of this.#kept ?? []) this.#section?.take(bytes);
    this.#kept = null;
  }

  #endLine(): void {
    this.#lines++;
    // Nothing that this has to know is as short; reading it would take long in a flood.
    const isShort = this.#bytes < GAP.length;
    this.#bytes = 0;
    if (this.#seal !== null) this.#blame(this.#lines, AFTER_SEAL);
    this.#seal = null;
    const text = this.#kept === null || isShort ? '' : textOf(this.#kept);
    if (text.startsWith(LINK)) this.#endSection(parseLink(text));
    else if (text.startsWith(SEAL)) this.#endCast(parseSeal(text), text);
    else if (this.#first === OPEN && this.#last === CLOSE) this.#frames++;
    else if (!(text.startsWith(GAP) || (this.#lines === 1 && isJson(text)))) this.#suspect();
    this.#release();
  }

  #endSection(link: ChainLink | null): void {
    this.#chained = true;
    if (link === null) {
      this.#suspect();
      return;
    }
    // Without a section and without a reason, too many lines stood before the first link.
    const bad = this.#section === null ? { line: 2, reason: MISSING } : difference(this.#section, link);
    if (bad !== null) {
      this.#blame(bad.line, bad.reason);
      return;
    }
    this.#link = link;
    this.#section = new Section(link, this.#hash);
    this.#kept = null;
  }

  #endCast(seal: CastSeal | null, text: string): void {
    if (seal === null) {
      this.#suspect();
      return;
    }
    this.#seal = seal;
    this.#chained ||= seal.hash !== undefined;
    const bad = this.#chained ? this.#sealFault(seal, text) : null;
    if (bad !== null) this.#blame(bad.line, bad.reason);
  }

  #sealFault(seal: CastSeal, text: string): Bad | null {
    const link = this.#link;
    const line = this.#lines;
    if (link === null) return { line: Math.min(line, 2), reason: MISSING };
    const [, unhashed = ''] = /^(.*),"hash":"[\w-]{43}"\}$/.exec(text) ?? [];
    const fits = sealHash(link, unhashed, this.#hash) === seal.hash;
    if (line > link.line + 1) return fits ? { line: link.line + 1, reason: EXTRA } : { line, reason: MISSING };
    if (!fits) return { line, reason: 'the seal was changed, or is of another recording' };
    return seal.frames === this.#frames ? null : { line, reason: 'the seal counts other frames than there are' };
  }

  #suspect(): void {
    this.#strange ??= { line: this.#lines, reason: 'no recorder writes such a line' };
  }

  /** The first one counts. */
  #blame(line: number, reason: string): void {
    this.#bad ??= this.#strange !== null && this.#strange.line <= line ? this.#strange : { line, reason };
    this.#section = null;
  }

  #drift(): void {
    if (this.#link !== null) this.#blame(this.#link.line + 1, 'no link vouches for it');
    this.#section = null;
  }
}

/** The first line of a section that is not as its link says; null when all are. */
function difference(section: Section, link: ChainLink): Bad | null {
  const { checks, firstLine, nextLine } = section;
  const count = checkCount(link);
  const fits = (index: number, stated: number): boolean => checkText(checks[index] ?? 0) === checkAt(link, stated);
  const isSound = section.digest() === link.hash;
  let same = 0;
  while (same < Math.min(checks.length, count) && fits(same, same)) same++;
  const isSame = same === checks.length && same === count;
  if (isSound) return isSame && link.line === nextLine ? null : { line: nextLine, reason: 'the link was changed' };
  const isFirst = firstLine === 1 && count === 1;
  if (isSame) return { line: nextLine, reason: 'the link was changed' };
  if (same > 0 || isFirst) {
    const reason = same === count ? EXTRA : same === checks.length ? MISSING : 'it was changed, or stands elsewhere';
    return { line: firstLine + same, reason };
  }
  // It goes on from another link than the one that is there. What it vouches for begins as far back as its checks fit.
  let back = 0;
  while (back < Math.min(checks.length - 1, count - 1) && fits(checks.length - 1 - back, count - 1 - back)) back++;
  const begin = nextLine - back;
  const linkBefore = link.line - count;
  const isReplaced = back === count - 1 && linkBefore > firstLine && linkBefore < begin && link.line === nextLine;
  if (isReplaced) return { line: linkBefore, reason: 'a link stood here' };
  return { line: begin, reason: 'it does not follow from what stands before it' };
}

const MISSING = 'a line is missing before it, or was changed';
const EXTRA = 'it was added';
const AFTER_SEAL = 'it stands behind the seal';

function textOf(pieces: readonly Uint8Array[]): string {
  const text = new TextDecoder();
  return (
    pieces
      .map((bytes) => text.decode(bytes, { stream: true }))
      .join('')
      .replace(/\n$/, '') + text.decode()
  );
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== null;
  } catch {
    return false;
  }
}
