// Where to stop in the middle of a frame: some sequences of two characters rewrite the whole screen, so that one frame of them is half a minute
// of work on a large one. It cuts anywhere, also within a sequence: an emulator takes up where it was.

/** What may cost more than to print what it consists of: everything that is introduced, but colours. */
const COSTLY = /\x1b(?!\[[0-9;:]*m)|[\x80-\x9f]/g;
/** A piece rewrites at most so many cells: some 8 ms, at 25 ns each. */
const MAX_CELLS = 320_000;

/** Index after the piece of `data` that begins at `from`. */
export function endOfPiece(data: string, from: number, cells: number): number {
  const most = Math.max(1, Math.floor(MAX_CELLS / cells));
  COSTLY.lastIndex = from;
  for (let count = 0; count <= most; count++) {
    const found = COSTLY.exec(data);
    if (found === null) return data.length;
    if (count === most) return found.index;
  }
  return data.length;
}

/** The frame's data in such pieces. */
export function* piecesOf(data: string, cells: number): Generator<string> {
  for (let at = 0; at < data.length; ) {
    const end = endOfPiece(data, at, cells);
    yield data.slice(at, end);
    at = end;
  }
}
