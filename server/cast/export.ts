// A cast as a download: v3 as it lies on the disk, v2, or the text that a reader would have seen. Streams; never the whole file in memory.
import { V2Converter } from '../../protocol/asciicast-v2.ts';
import { PlainText } from './plain-text.ts';
import { openCast, readItems, readPieces, START, wholeBytes } from './recording.ts';
import { Slice } from './slice.ts';

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

async function* textOf(path: string, cast: string, size: number) {
  const file = await openCast(path, cast);
  const slice = new Slice();
  let shown: PlainText | null = null;
  try {
    for await (const items of readItems(file, { from: START, end: size, version: 3 })) {
      let text = '';
      for (const item of items) {
        if (item.kind === 'header') shown = new PlainText(item.header);
        else if (item.kind === 'event' && shown !== null) text += await shown.take(item, slice);
        if (slice.over) await slice.rest();
      }
      if (text !== '') yield text;
    }
    const rest = shown?.rest() ?? '';
    if (rest !== '') yield `${rest}\n`;
  } finally {
    shown?.close();
    await file.close();
  }
}
