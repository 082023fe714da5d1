// Numbers of a measurement: taken one after the other, and what is told of many.

const PAUSE_MS = 30;

/** ms of each call, one after the other. */
export async function timed(count, call) {
  const all = [];
  for (let at = 0; at < count; at++) {
    const beginMs = performance.now();
    await call(at);
    all.push(performance.now() - beginMs);
  }
  return all;
}

/** The same with a pause before each, in which what is prepared behind a reply can be done: an agent thinks far longer. */
export async function paced(count, call) {
  const all = [];
  for (let at = 0; at < count; at++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    all.push(...(await call()));
  }
  return all;
}

export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}

export const summary = (numbers) => ({
  p50: quantile(numbers, 0.5),
  p99: quantile(numbers, 0.99),
  count: numbers.length,
});

/** Polls until it is true; throws at the deadline. */
export async function until(what, holds, timeoutMs = 30_000) {
  for (const endMs = performance.now() + timeoutMs; !(await holds()); ) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
