// How much is tried, and how a failure is repeated: the one place that reads the variables of the fuzz tests. It never hides a failure.
import type { Parameters } from 'fast-check';

/** A run with FUZZ_RUNS may take as long as it likes; the usual one is over within seconds. */
const LONG_MS = 3_600_000;
const USUAL_MS = 60_000;
/** The usual run tries the same inputs each time, so it fails for a change and not by chance; FUZZ_RUNS looks for new ones. */
const USUAL_SEED = 20_261_124;

const wished = Number(process.env['FUZZ_RUNS']) || 0;

/**
 * FUZZ_RUNS=10000 tries each property that often, where the usual number is lower. A failure prints its seed and path:
 * FUZZ_SEED and FUZZ_PATH, with the test's name after -t, repeat it.
 */
export function asked<T>(usual: number, more: Parameters<T> = {}): Parameters<T> {
  const { FUZZ_SEED: seed, FUZZ_PATH: path } = process.env;
  return {
    numRuns: Math.max(usual, wished),
    ...(seed === undefined ? (wished > 0 ? {} : { seed: USUAL_SEED }) : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path }),
    ...more,
  };
}

/** For properties over a real gateway: what they did can't be undone, so a smaller example would be none. */
export const asFound = { endOnFailure: true } as const;

/** Of each test. */
export const timeout: number = wished > 0 ? LONG_MS : USUAL_MS;
