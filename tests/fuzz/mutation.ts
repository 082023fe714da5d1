// Ways to damage bytes and JSON that were right: shared by the fuzz tests. Pure; the same arbitrary value always damages in the same way.
import fc from 'fast-check';

/** One change to a message. */
export type Mutation = (bytes: Buffer) => Buffer;

const anyByte = fc.integer({ min: 0, max: 255 });
/** A place in a message, whatever its length. */
const share = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: Buffer, place: number): number => Math.min(bytes.length, Math.floor(place * (bytes.length + 1)));

/** What parsers stumble over. */
export const ODD_TEXT = [
  '',
  '\0',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\u2028',
  '\ufeff',
  '\u202e',
  '😀',
  '\ud83d',
  '%00',
  '%',
  '..',
  '../..',
  '/',
  '//',
  '__proto__',
  'constructor',
  'toString',
  '-1',
  '1e999',
  '1e308',
  '9007199254740993',
  '99999999999999999999999999',
  '-0',
  'NaN',
  'null',
  '[',
  ']',
  '{',
  '}',
  '[[[[[[[[',
  '\x1b[2J',
  'x'.repeat(5000),
] as const;

export const oddText: fc.Arbitrary<string> = fc.constantFrom(...ODD_TEXT);

const flip = fc.tuple(share, anyByte).map(
  ([place, byte]): Mutation =>
    (bytes) => {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[Math.min(copy.length - 1, at(copy, place))] = byte;
      return copy;
    },
);

const cut = fc.tuple(share, share).map(
  ([a, b]): Mutation =>
    (bytes) => {
      const [from, to] = [at(bytes, Math.min(a, b)), at(bytes, Math.max(a, b))];
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    },
);

const end = share.map(
  (place): Mutation =>
    (bytes) =>
      bytes.subarray(0, at(bytes, place)),
);

const insert = fc.tuple(share, fc.oneof(oddText, fc.string({ unit: 'binary', maxLength: 8 }))).map(
  ([place, text]): Mutation =>
    (bytes) =>
      Buffer.concat([bytes.subarray(0, at(bytes, place)), Buffer.from(text), bytes.subarray(at(bytes, place))]),
);

const repeat = fc.tuple(share, share).map(
  ([a, b]): Mutation =>
    (bytes) => {
      const [from, to] = [at(bytes, Math.min(a, b)), at(bytes, Math.max(a, b))];
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    },
);

/** A number that stands in the text becomes another one. */
const renumber = fc.tuple(fc.nat(), oddText).map(
  ([which, text]): Mutation =>
    (bytes) => {
      const said = bytes.toString('latin1');
      const numbers = [...said.matchAll(/\d+(?:\.\d+)?/g)];
      const found = numbers[which % Math.max(1, numbers.length)];
      if (found === undefined) return bytes;
      const odd = Buffer.from(text).toString('latin1');
      return Buffer.from(said.slice(0, found.index) + odd + said.slice(found.index + found[0].length), 'latin1');
    },
);

/** The beginning of this one and the end of that one. */
const splice = (others: readonly Buffer[]): fc.Arbitrary<Mutation> =>
  fc.tuple(fc.constantFrom(...others), share, share).map(
    ([other, a, b]): Mutation =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, at(bytes, a)), other.subarray(at(other, b))]),
  );

/** One to four changes. `others`: what may be spliced in. */
export function damage(others: readonly Buffer[] = []): fc.Arbitrary<Mutation> {
  const kinds = [flip, cut, end, insert, repeat, renumber];
  const all = others.length === 0 ? kinds : [...kinds, splice(others)];
  return fc.array(fc.oneof(...all), { minLength: 1, maxLength: 4 }).map(
    (changes): Mutation =>
      (bytes) =>
        changes.reduce((damaged, change) => change(damaged), bytes),
  );
}

/** Pieces of these bytes, cut at any places. */
export function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}
