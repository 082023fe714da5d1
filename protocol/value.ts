// Values that several namespaces share: sizes, times, names. Limits stand here once, each with its reason.
import { z } from 'zod';

/** Size of a terminal. Outside of this range applications and players misbehave. */
export const COLS = { min: 20, max: 500, default: 120 } as const;
export const ROWS = { min: 5, max: 200, default: 40 } as const;

/** 24 days: the longest that a Node timer can hold. */
export const MAX_TIMEOUT_MS = 2_073_600_000;

export const empty = z.strictObject({});
export const timeoutMs = z.int().min(0).max(MAX_TIMEOUT_MS);
export const encoding = z.enum(['utf8', 'base64']);
/** What sets a name apart on the wire: no control characters, nothing that changes the direction of the text. */
export const label = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}\p{Bidi_Control}]*$/u, 'a label has no control characters');
export const slotName = z.string().min(1).max(64);
/** Text that becomes an argument or variable of a process: the kernel ends it at a NUL. */
export const argument = z.string().refine((text) => !text.includes('\0'), 'must not contain a NUL character');
export const environment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/, 'a variable name has letters, digits and _'),
  argument,
);
/** Idempotency key: any string that the caller makes up. */
export const key = z.string().min(1).max(200);
/** Seconds since the cast began, to the millisecond. */
export const castTime = z.number().min(0);
export const seq = z.int().min(0).describe('number of a frame in the log of its lease; the first is 1');
/** Clamped to the allowed range, so that a wild value is harmless. */
export const cols = z
  .number()
  .transform((n) => clamp(n, COLS))
  .pipe(z.int());
export const rows = z
  .number()
  .transform((n) => clamp(n, ROWS))
  .pipe(z.int());

function clamp(n: number, range: { readonly min: number; readonly max: number }): number {
  return Math.min(range.max, Math.max(range.min, Math.trunc(n)));
}
