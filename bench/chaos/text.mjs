// What the commands of a chaos run print: numbered lines that are a function of a name, so that each byte of them can be checked wherever it
// turns up. Pure.
import { createHash } from 'node:crypto';

/** A multiplier below which products of line numbers stay exact in a double. */
const FACTOR = 2_654_435_761;

/** A number of the name, the same in every run. */
export const keyOf = (name) => createHash('sha256').update(name).digest().readUInt32BE(0);

/** Line `n` of what `name` prints, from 1; it has a character of several bytes, which a careless cut would break. */
export function line(name, n) {
  const check = ((n * FACTOR + keyOf(name)) % 2 ** 32).toString(16).padStart(8, '0');
  return `#${name}-${String(n).padStart(7, '0')}-${check}→#`;
}

export function lines(name, count) {
  const key = keyOf(name);
  let text = '';
  for (let n = 1; n <= count; n++) {
    const check = ((n * FACTOR + key) % 2 ** 32).toString(16).padStart(8, '0');
    text += `#${name}-${String(n).padStart(7, '0')}-${check}→#\n`;
  }
  return text;
}

/** Shell words that print them; with a pause between two lines they are written one by one. */
export function printer(name, count, pauseMs = 0) {
  const script = `$| = $ARGV[3] > 0; for my $n (1 .. $ARGV[2]) { printf "#%s-%07d-%08x\\xe2\\x86\\x92#\\n", $ARGV[0], $n, ($n * ${FACTOR} + $ARGV[1]) % 4294967296; select undef, undef, undef, $ARGV[3] / 1000 if $ARGV[3] > 0 }`;
  return `perl -e '${script}' ${name} ${keyOf(name)} ${count} ${pauseMs}`;
}

export const sha256 = (data) => createHash('sha256').update(data).digest('hex');

const LINE = /#([a-z0-9.]+)-(\d{7})-([0-9a-f]{8})→#/g;
/** Stands for frames that a recording says are missing. */
export const GAP = '\u0000gap\u0000';

/** The numbers that a text has of each name, in order: null where it says that something is missing, NaN for a line that is not what was printed. */
export function numbersIn(text) {
  const found = new Map();
  for (const [index, part] of text.split(GAP).entries()) {
    if (index > 0) for (const numbers of found.values()) numbers.push(null);
    for (const [whole, name, number] of part.matchAll(LINE)) {
      const numbers = found.get(name) ?? (index > 0 ? [null] : []);
      found.set(name, numbers);
      numbers.push(whole === line(name, Number(number)) ? Number(number) : Number.NaN);
    }
  }
  return found;
}

/** Why these are not the numbers 1 to `count` once and in order; null when they are. `isWhole`: the last ones must be there too. */
export function flawOf(numbers, { count, isWhole }) {
  let last = 0;
  let isExcused = false;
  for (const number of numbers) {
    if (number === null) {
      isExcused = true;
      continue;
    }
    if (Number.isNaN(number)) return `a line after ${last} is not what was printed`;
    if (number <= last) return `line ${number} comes again, after ${last}`;
    if (number > last + 1 && !isExcused) return `lines ${last + 1} to ${number - 1} are missing`;
    if (number > count) return `line ${number} was never printed, the last is ${count}`;
    isExcused = false;
    last = number;
  }
  if (isWhole && last < count && !isExcused) return `lines ${last + 1} to ${count} are missing at the end`;
  return null;
}

/** The beginning of what is expected, and not all of it: a busy host may not get further in the time that a command has. */
export const isCut = (got, expected) => got.length < expected.length && expected.startsWith(got);
