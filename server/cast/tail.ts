// The frames of a recording behind a place in it, up to its end as it stands: for who has missed them live. It does not wait for more.
import { join } from 'node:path';
import type { CastItem } from '../../protocol/asciicast.ts';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { frameCodes } from '../../protocol/vocabulary.ts';
import { openCast, type Place, readItems, wholeBytes } from './recording.ts';

const known: ReadonlySet<string> = new Set(frameCodes);

/** In batches. Faults: CAST_NOT_FOUND. Throws CastError. */
export async function* framesBehind(dir: string, cast: string, from: Place): AsyncGenerator<readonly NumberedFrame[]> {
  const file = await openCast(join(dir, `${cast}.cast`), cast);
  try {
    const part = { from, end: await wholeBytes(file), version: 3 } as const;
    for await (const items of readItems(file, part)) yield items.flatMap(frameOf);
  } finally {
    await file.close();
  }
}

function frameOf(item: CastItem): NumberedFrame[] {
  if (item.kind !== 'event' || !known.has(item.code)) return [];
  const { seq, timeMs, code, data } = item;
  return [{ seq, timeMs, code: code as NumberedFrame['code'], data }];
}
