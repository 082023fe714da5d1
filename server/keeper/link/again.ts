// Tries what has to work some time, with pauses that grow, until it does or nobody needs it any more. It never rejects.
import { setTimeout as delay } from 'node:timers/promises';

/** Before each try; the last one before all others. */
const PAUSES_MS = [0, 200, 1000, 5000] as const;

export interface Trying {
  /** Rejects when it is to be tried again. */
  readonly work: () => Promise<void>;
  readonly failed: (error: unknown) => void;
  /** Nobody needs it any more. */
  readonly isOver: () => boolean;
}

export async function tryAgain({ work, failed, isOver }: Trying): Promise<void> {
  for (let attempt = 0; !isOver(); attempt++) {
    await delay(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)], undefined, { ref: false });
    if (isOver()) return;
    try {
      return await work();
    } catch (error) {
      failed(error);
    }
  }
}
