// Waits for a condition of the real world, with a deadline.

/** Resolves with the first value that is neither undefined, null nor false; rejects after the deadline. */
export async function until<T>(look: () => T | Promise<T>, what: string, deadlineMs = 5000): Promise<NonNullable<T>> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
