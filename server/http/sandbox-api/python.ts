// What the predecessor's language shows in its replies: numbers as they were sent, and text cut and stripped as it did.
import { LosslessNumber, parse } from 'lossless-json';

/** Characters that each stream of a command shows. */
const MAX_STREAM_CHARS = 50_000;

/** A number of seconds, with the text that it is shown as: 5 stays 5, 5.0 stays 5.0. */
export interface Seconds {
  readonly value: number;
  readonly text: string;
}

/** JSON whose numbers are LosslessNumber. Throws SyntaxError. */
export const parseJson = (text: string): unknown => parse(text);

/** As ordinary numbers, all the way down. */
export function plain(value: unknown): unknown {
  if (value instanceof LosslessNumber) return Number(value.value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LosslessNumber);

/** null for what is no number. */
export function secondsOf(value: unknown): Seconds | null {
  if (!(value instanceof LosslessNumber)) return null;
  const number = Number(value.value);
  if (!Number.isFinite(number)) return null;
  const isFloat = /[.eE]/.test(value.value);
  return { value: number, text: isFloat && Number.isInteger(number) ? number.toFixed(1) : String(number) };
}

/** One stream as it is shown: its first characters. */
export function cutStream(text: string): string {
  // Quick for what is short anyway; characters beyond the first plane are two here and one there.
  if (text.length <= MAX_STREAM_CHARS) return text;
  const characters = Array.from(text.slice(0, 2 * MAX_STREAM_CHARS));
  if (characters.length <= MAX_STREAM_CHARS && text.length <= 2 * MAX_STREAM_CHARS) return text;
  return `${characters.slice(0, MAX_STREAM_CHARS).join('')}\n... (output truncated)`;
}

/** Without blank lines before and blanks after it; the first line keeps its indentation. */
export const stripped = (text: string): string => text.replace(/^(?:[^\S\n]*\n)+/, '').trimEnd();

/** stdout, and what was said on stderr below it. */
export function joined(stdout: string, stderr: string): string {
  const [out, err] = [stripped(cutStream(stdout)), stripped(cutStream(stderr))];
  if (out === '' || err === '') return out + err;
  return `${out}\n[stderr]\n${err}`;
}
