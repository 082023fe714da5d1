// Work on many recordings at the same time, within a bound. It knows nothing of recordings.

/** Files opened at the same time by a list. */
export const MAX_OPEN = 32;

export async function inParallel<T>(things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
  const waiting = [...things];
  const worker = async (): Promise<void> => {
    for (let thing = waiting.pop(); thing !== undefined; thing = waiting.pop()) await work(thing);
  };
  await Promise.all(Array.from({ length: Math.min(MAX_OPEN, things.length) }, worker));
}
