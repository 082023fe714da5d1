// Recordings for programs that know asciicast v2 alone. Pure; it never holds more than one line of the file.
import { CastDecoder, CastEncoder, encodeHeader } from './asciicast.ts';

/** A file of either version, fed in pieces, as v2: absolute times, without what v2 doesn't know. */
export class V2Converter {
  readonly #decoder = new CastDecoder();
  readonly #encoder = new CastEncoder(2);

  /** The v2 lines for the lines that this piece completes. Throws CastError. */
  convert(piece: Uint8Array): string {
    let text = '';
    for (const item of this.#decoder.decode(piece)) {
      if (item.kind === 'header') text += encodeHeader({ ...item.header, version: 2 });
      else if (item.kind === 'event') text += this.#encoder.encode(item);
    }
    return text;
  }
}
