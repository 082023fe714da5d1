// A command whose keeper has died, as a gateway after that knows it: how it ended, or that nobody knows. What it printed is gone.
import { z } from 'zod';
import type { KeptOutput, KeptProcess, ProcessEnd, StreamName, Subscription, Totals } from '../keeper/keeper.ts';

export const gone = z.object({
  startedAt: z.number(),
  end: z.object({
    outcome: z.enum(['exited', 'signaled', 'timedOut', 'lost']),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    durationMs: z.number(),
    timedOutBy: z.enum(['total', 'idle']).optional(),
    limit: z.enum(['memory', 'processes', 'disk', 'output']).optional(),
  }),
  /** Bytes that it printed. */
  printed: z.object({ stdout: z.int(), stderr: z.int() }),
});

/** What is kept of it. */
export type Gone = z.infer<typeof gone>;

const NOTHING = Buffer.alloc(0);

export class GoneProcess implements KeptProcess {
  readonly startedAt: number;
  readonly end: ProcessEnd;
  readonly ended: Promise<ProcessEnd>;
  readonly #printed: Totals;

  constructor({ startedAt, end, printed }: Gone) {
    this.startedAt = startedAt;
    this.end = end as ProcessEnd;
    this.ended = Promise.resolve(this.end);
    this.#printed = printed;
  }

  elapsedMs(): number {
    return this.end.durationMs;
  }

  output(stream: StreamName): KeptOutput {
    return { head: NOTHING, tail: NOTHING, total: this.#printed[stream] };
  }

  async refresh(): Promise<void> {}

  async totals(): Promise<Totals> {
    return this.#printed;
  }

  subscribe(): Subscription {
    return { close: () => undefined };
  }

  async write(): Promise<boolean> {
    return false;
  }

  async closeInput(): Promise<void> {}

  async signal(): Promise<boolean> {
    return false;
  }

  async kill(): Promise<void> {}

  forget(): void {}
}

/** Of one that has ended; null while it runs. */
export function goneOf(process: KeptProcess): Gone | null {
  const { startedAt, end } = process;
  if (end === null) return null;
  const printed = { stdout: process.output('stdout').total, stderr: process.output('stderr').total };
  return { startedAt, end, printed };
}
