// The last moments of a gateway: what runs may end by itself, for a while, and new work is refused meanwhile. It stops nothing.
import type { Pool } from './slot/pool.ts';

export interface DrainOptions {
  /** The longest wait. */
  readonly graceMs: number;
  /** Told once, if there is something to wait for. */
  readonly waits: (commands: number) => void;
}

/** Resolves when no command runs any more, or the time is over: at once when none does. */
export async function drain(pool: Pool, { graceMs, waits }: DrainOptions): Promise<void> {
  const running = commandsOf(pool);
  if (running === 0 || graceMs === 0) return;
  waits(running);
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      news.close();
      resolve();
    };
    const timer = setTimeout(settle, graceMs);
    const news = pool.listen(() => commandsOf(pool) === 0 && settle());
  });
  // Who waits for a result gets it before the goodbye.
  await new Promise((resolve) => setImmediate(resolve));
}

/** What was asked for by a call; what somebody has typed into a terminal has no end that anybody waits for. */
const commandsOf = (pool: Pool): number =>
  pool
    .all()
    .flatMap(({ lease }) => (lease === null ? [] : [lease]))
    .reduce((sum, { commands, terminal }) => sum + commands.running + (terminal.running === null ? 0 : 1), 0);
