// The name of a file inside an archive: relative, valid UTF-8, and the same place on whatever system unpacks it.
// Must never let a name through that an unpacker reads as a separator, a drive or a way up.

/**
 * `bytes` is a path in a latin1 string, from a walk. What would be read otherwise elsewhere is written as %XX: bytes that are no UTF-8,
 * backslashes, and the colon of a first name that looks like a drive (`C:x`). Control characters stay; they are part of the name.
 */
export function entryName(bytes: string): string {
  // Most names are plain, and an archive has many.
  if (/^[\w./ -]*$/.test(bytes)) return bytes;
  return decode(bytes)
    .replaceAll('\\', '%5C')
    .replace(/^\w+:/, (drive) => `${drive.slice(0, -1)}%3A`);
}

function decode(bytes: string): string {
  const buffer = Buffer.from(bytes, 'latin1');
  const text = buffer.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(buffer)) return text;
  return Array.from(validPieces(buffer)).join('');
}

/** UTF-8 characters one by one; a byte that begins none as %XX. */
function* validPieces(buffer: Buffer): Generator<string> {
  for (let at = 0; at < buffer.length; ) {
    const length = [1, 2, 3, 4].find((size) => isCharacter(buffer.subarray(at, at + size)));
    const piece = buffer.subarray(at, at + (length ?? 1));
    yield length ? piece.toString('utf8') : `%${piece.toString('hex').toUpperCase()}`;
    at += piece.length;
  }
}

function isCharacter(bytes: Buffer): boolean {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) && [...text].length === 1;
}
