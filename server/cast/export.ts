// A cast as a download: v3 as it lies on the disk, v2, or the text that a reader would have seen. Streams; never the whole file in memory.
import { type CastItem, V2Converter } from '../../protocol/asciicast.ts';
import { Emulator } from '../screen/emulator.ts';
import { openCast, readItems, readPieces, START, wholeBytes } from './recording.ts';

export const exportFormats = ['v3', 'v2', 'txt'] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface CastExport {
  readonly contentType: string;
  /** Of the whole; null when it is only known at the end. */
  readonly bytes: number | null;
  /** May be called once. A part (both inclusive) only where `bytes` is known. Faults while it runs: CastError of a damaged file. */
  stream(part?: { start: number; end: number }): AsyncGenerator<Buffer | string>;
}

const CAST_TYPE = 'application/x-asciicast';
const TEXT_TYPE = 'text/plain; charset=utf-8';
/** Longest stretch of parsing before others get their turn. */
const SLICE_MS = 8;
/** Text parsed between two looks at what has scrolled off … */
const PIECE_CHARS = 2048;
/** … so that the lines in it, even empty ones, fit into the scrollback, also when a full-screen program delays the look. */
const SCROLLBACK_LINES = 2 * PIECE_CHARS;

/** Cut at the last whole line. Faults: CAST_NOT_FOUND. */
export async function exportCast(path: string, cast: string, format: ExportFormat): Promise<CastExport> {
  const file = await openCast(path, cast);
  const size = await wholeBytes(file).finally(() => file.close());
  if (format === 'v3') {
    const stream = (part = { start: 0, end: size - 1 }) => bytesOf(path, cast, part);
    return { contentType: CAST_TYPE, bytes: size, stream };
  }
  if (format === 'v2') return { contentType: CAST_TYPE, bytes: null, stream: () => v2Of(path, cast, size) };
  return { contentType: TEXT_TYPE, bytes: null, stream: () => textOf(path, cast, size) };
}

async function* bytesOf(path: string, cast: string, { start, end }: { start: number; end: number }) {
  const file = await openCast(path, cast);
  try {
    // Copied, because the reader of a stream may keep it while the next piece is read.
    for await (const piece of readPieces(file, start, end + 1)) yield Buffer.from(piece);
  } finally {
    await file.close();
  }
}

async function* v2Of(path: string, cast: string, size: number) {
  const file = await openCast(path, cast);
  const converter = new V2Converter();
  try {
    for await (const piece of readPieces(file, 0, size)) yield converter.convert(piece);
  } finally {
    await file.close();
  }
}

/** Lines as they leave the screen, then the screen as it stands at the end. */
async function* textOf(path: string, cast: string, size: number) {
  const file = await openCast(path, cast);
  let emulator: Emulator | null = null;
  try {
    for await (const items of readItems(file, { from: START, end: size, version: 3 })) {
      let text = '';
      let deadline = performance.now() + SLICE_MS;
      for (const item of items) {
        if (item.kind === 'header') emulator = new Emulator({ ...item.header, scrollback: SCROLLBACK_LINES });
        else if (item.kind === 'event' && emulator !== null) text += show(emulator, item);
        if (performance.now() < deadline) continue;
        await new Promise((resolve) => setImmediate(resolve));
        deadline = performance.now() + SLICE_MS;
      }
      if (text !== '') yield text;
    }
    const rest = emulator?.takeLines(true).trimEnd() ?? '';
    if (rest !== '') yield `${rest}\n`;
  } finally {
    emulator?.close();
    await file.close();
  }
}

/** Shows an event; gives the lines that it pushed off the screen. */
function show(emulator: Emulator, { code, data }: CastItem & { kind: 'event' }): string {
  if (code === 'r') emulator.feed({ code, data });
  if (code !== 'o') return '';
  let text = '';
  for (let at = 0; at < data.length; at += PIECE_CHARS) {
    emulator.write(data.slice(at, at + PIECE_CHARS));
    text += emulator.takeLines(false);
  }
  return text;
}
