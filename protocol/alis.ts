// ALiS v1, the binary live stream of asciinema: messages to bytes and back. Pure; one WebSocket message each, times in microseconds.
import type { FrameCode } from './frame.ts';

export const ALIS_PROTOCOL = 'v1.alis';
/** The first message of a stream: "ALiS" and the version. */
export const ALIS_MAGIC: Uint8Array = Uint8Array.of(0x41, 0x4c, 0x69, 0x53, 0x01);

/** The screen that everything after it builds on; may come again at any time and resets the player. */
export interface AlisInit {
  readonly kind: 'init';
  /** Number of the last event that the screen stands for, 0 = none. */
  readonly lastId: number;
  /** Since the stream began. */
  readonly timeUs: number;
  readonly cols: number;
  readonly rows: number;
  /** ANSI text that redraws the screen. */
  readonly screen: string;
}

export interface AlisEvent {
  readonly kind: 'event';
  readonly id: number;
  /** Since the event before it on this connection, or the Init. */
  readonly dtUs: number;
  readonly code: FrameCode;
  /** As in a frame: `r` "COLSxROWS", `x` the status as decimal. */
  readonly data: string;
}

export interface AlisEnd {
  readonly kind: 'end';
  readonly id: number;
  readonly dtUs: number;
}

export type AlisMessage = { readonly kind: 'magic' } | AlisInit | AlisEvent | AlisEnd;

const INIT = 0x01;
const END = 0x04;
const codeBytes: Readonly<Record<FrameCode, number>> = { o: 0x6f, i: 0x69, r: 0x72, m: 0x6d, x: 0x78 };

/** Bytes of one message; negative numbers become 0. */
export function encodeAlis(message: AlisMessage): Uint8Array {
  switch (message.kind) {
    case 'magic':
      return ALIS_MAGIC;
    case 'init':
      return encodeInit(message);
    case 'event':
      return encodeEvent(message);
    case 'end':
      return Uint8Array.from([END, ...varuint(message.id), ...varuint(message.dtUs)]);
  }
}

/** The message in these bytes; throws RangeError when they are none. */
export function decodeAlis(bytes: Uint8Array): AlisMessage {
  if (bytes.length === ALIS_MAGIC.length && bytes.every((byte, index) => byte === ALIS_MAGIC[index])) {
    return { kind: 'magic' };
  }
  const reader = new Reader(bytes);
  const type = reader.byte();
  if (type === INIT) return decodeInit(reader);
  if (type === END) return { kind: 'end', id: reader.varuint(), dtUs: reader.varuint() };
  const code = (Object.keys(codeBytes) as FrameCode[]).find((candidate) => codeBytes[candidate] === type);
  if (code === undefined) throw new RangeError(`ALiS: unknown message type ${type}`);
  return { kind: 'event', id: reader.varuint(), dtUs: reader.varuint(), code, data: decodeData(reader, code) };
}

function encodeInit({ lastId, timeUs, cols, rows, screen }: AlisInit): Uint8Array {
  const noTheme = 0;
  const head = [INIT, ...varuint(lastId), ...varuint(timeUs), ...varuint(cols), ...varuint(rows), noTheme];
  return withText(head, screen);
}

function encodeEvent({ id, dtUs, code, data }: AlisEvent): Uint8Array {
  const head = [codeBytes[code], ...varuint(id), ...varuint(dtUs)];
  if (code === 'r') {
    const [cols, rows] = data.split('x');
    return Uint8Array.from([...head, ...varuint(Number(cols)), ...varuint(Number(rows))]);
  }
  if (code === 'x') return Uint8Array.from([...head, ...varuint(Number(data))]);
  return withText(head, data);
}

function withText(head: readonly number[], text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const length = varuint(encoded.length);
  const bytes = new Uint8Array(head.length + length.length + encoded.length);
  bytes.set(head);
  bytes.set(length, head.length);
  bytes.set(encoded, head.length + length.length);
  return bytes;
}

/** Unsigned LEB128: 7 bits a byte, the low ones first. By division, since times exceed 32 bits. */
function varuint(value: number): number[] {
  let rest = Number.isFinite(value) ? Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(value))) : 0;
  const bytes: number[] = [];
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function decodeInit(reader: Reader): AlisInit {
  const [lastId, timeUs, cols, rows] = [reader.varuint(), reader.varuint(), reader.varuint(), reader.varuint()];
  const colours = reader.byte();
  if (colours !== 0 && colours !== 8 && colours !== 16) throw new RangeError(`ALiS: theme of ${colours} colours`);
  // Foreground and background come before the palette; three bytes a colour.
  if (colours > 0) reader.take((2 + colours) * 3);
  return { kind: 'init', lastId, timeUs, cols, rows, screen: reader.text() };
}

function decodeData(reader: Reader, code: FrameCode): string {
  if (code === 'r') return `${reader.varuint()}x${reader.varuint()}`;
  return code === 'x' ? String(reader.varuint()) : reader.text();
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('ALiS: the message ends early');
    return byte;
  }

  varuint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new RangeError('ALiS: a number is too large');
      if (byte < 128) return value;
    }
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('ALiS: the message ends early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  text(): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.take(this.varuint()));
  }
}
