// The last moments of a gateway: what runs may end by itself, for a while, and new work is refused meanwhile. It stops nothing.
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from './slot/pool.ts';

/** Between two looks: a person sees no difference, and nothing has to tell of its end. */
const LOOK_MS = 10;
/** Most replies are there by then, and nothing is said of them. */
const QUIET_MS = 200;

/** What is waited for. */
export interface Waiting {
  readonly commands: number;
  /** Calls and requests that have no whole reply yet, those of the commands too. */
  readonly replies: number;
}

export interface DrainOptions {
  /** The longest wait. */
  readonly graceMs: number;
  /** Calls and requests that have no whole reply yet, without those that only wait for something. */
  readonly replies: () => number;
  /** Told once, if there is something to wait for. */
  readonly waits: (waiting: Waiting) => void;
}

/** Resolves when no command runs and every reply has left, or the time is over: at once when there is nothing to wait for. */
export async function drain(pool: Pool, { graceMs, replies, waits }: DrainOptions): Promise<void> {
  const began = performance.now();
  let isTold = false;
  for (;;) {
    const waiting = { commands: commandsOf(pool), replies: replies() };
    const elapsedMs = performance.now() - began;
    if (waiting.commands + waiting.replies === 0 || elapsedMs >= graceMs) break;
    if (!isTold && (waiting.commands > 0 || elapsedMs >= QUIET_MS)) {
      isTold = true;
      waits(waiting);
    }
    await delay(Math.min(LOOK_MS, graceMs - elapsedMs));
  }
  // A reply that is made is written, and so stands before the goodbye.
  await new Promise((resolve) => setImmediate(resolve));
}

/** The line for the operator. `again`: how to stop at once. */
export function waitingLine({ commands, replies }: Waiting, graceMs: number, again: string): string {
  const what = commands > 0 ? counted(commands, 'command') : counted(replies, 'reply', 'replies');
  return `waiting up to ${graceMs / 1000} s for ${what}; ${again} to stop at once`;
}

const counted = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`;

/** What was asked for by a call; what somebody has typed into a terminal has no end that anybody waits for. */
const commandsOf = (pool: Pool): number =>
  pool
    .all()
    .flatMap(({ lease }) => (lease === null ? [] : [lease]))
    .reduce((sum, { commands, terminal }) => sum + commands.running + (terminal.running === null ? 0 : 1), 0);
