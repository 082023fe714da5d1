// The tmux action stream: what the slot's recording has got since the last call, as whole lines of asciicast v2.
import { CastEncoder, encodeHeader } from '../../../protocol/asciicast.ts';
import type { NumberedFrame } from '../../../protocol/frame.ts';
import type { Library } from '../../cast/library.ts';

/** In one reply, when its reader names no limit. */
const DEFAULT_BYTES = 5_000_000;

export interface StreamOrder {
  readonly cast: string;
  /** What was had already: 0 is nothing, then one more than the number of the last frame. */
  readonly offset: number;
  readonly maxBytes: number | null;
}

/** The size in which the terminal began: readers of v2 may know of no other. */
function firstSize(frames: readonly NumberedFrame[]): { readonly cols?: number; readonly rows?: number } {
  const first = frames.find(({ code }) => code === 'r' || code === 'o');
  const [cols, rows] = first?.code === 'r' ? first.data.split('x').map(Number) : [];
  return cols === undefined || rows === undefined ? {} : { cols, rows };
}

/** Lines, and the offset to go on with. At least one line when there is one, whatever the limit. */
export async function castLines(
  library: Pick<Library, 'lines'>,
  { cast, offset, maxBytes }: StreamOrder,
): Promise<{ readonly text: string; readonly offset: number }> {
  const limit = maxBytes ?? DEFAULT_BYTES;
  const { header, frames } = await library.lines(cast, Math.max(0, offset - 1), limit);
  const encoder = new CastEncoder(2);
  let text = offset === 0 ? encodeHeader({ ...header, ...firstSize(frames), version: 2 }) : '';
  let reached = Math.max(1, offset);
  for (const frame of frames) {
    const line = encoder.encode(frame);
    if (text !== '' && Buffer.byteLength(text) + Buffer.byteLength(line) > limit) break;
    text += line;
    reached = frame.seq + 1;
  }
  return { text, offset: reached };
}
