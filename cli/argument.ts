// Arguments of the command line as values: each parser says in one line what it takes instead.
import { InvalidArgumentError } from 'commander';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `15m`, `1h`, `7d` in ms; a bare number is seconds. */
export function parseTime(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  const ms = Math.round(Number(digits) * (UNITS_MS[unit] ?? Number.NaN));
  if (!(ms > 0) || !Number.isSafeInteger(ms))
    throw new InvalidArgumentError('It takes a time such as 90s, 15m, 1h or 7d.');
  return ms;
}

/** A number above 0. */
export function parsePositive(text: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) throw new InvalidArgumentError('It takes a number above 0.');
  return number;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('It takes a whole number from 1 to 1000.');
  return Math.min(1000, Number(text));
}

/** `NAME=VALUE`, added to the ones before. */
export function parseVariable(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It takes NAME=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
