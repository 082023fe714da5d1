// What happens in a lease, as lists show it: when something last did, which command has run for how long, how the last one ended. It reads
// the lease's own frames, so that lists say what the recording says, and never holds more than the commands that run.
import { parseLabel } from '../../protocol/command-mark.ts';
import type { LastCommand } from '../../protocol/slot.ts';
import { type Clock, systemClock, type Timer } from '../keeper/clock.ts';
import type { FrameLog } from '../keeper/frame-log.ts';

/** Between two words about output: lists are sorted by it, and a slot that prints without end must not fill them. */
const TOLD_MS = 2000;

interface Running {
  readonly command: string;
  readonly sinceMs: number;
}

export interface ActivityOptions {
  /** Told that output came, now and then; of commands others tell. */
  readonly changed: () => void;
  readonly clock?: Pick<Clock, 'after'>;
}

export class Activity {
  /** ms since 1970: the last output, start or end of a command. */
  activeAtMs = Date.now();
  /** How many commands the lease has started. */
  commands = 0;
  /** The newest command that has ended. */
  last: LastCommand | null = null;
  readonly #options: ActivityOptions;
  readonly #running = new Map<string, Running>();
  readonly #subscription: { close(): void };
  #timer: Timer | null = null;

  constructor(log: FrameLog, options: ActivityOptions) {
    this.#options = options;
    this.#subscription = log.listen((frame) => {
      if (frame === null || (frame.code !== 'm' && frame.code !== 'o')) return;
      // As long ago as the log says: a lease that goes on under another gateway tells its frames anew.
      const atMs = Date.now() - (log.timeMs() - frame.timeMs);
      if (frame.code === 'm') this.#marked(frame.data, atMs);
      else this.#printed(atMs);
    });
  }

  /** ms since 1970: when the newest running command began, one of the terminal before others; null when none runs. */
  get runningSinceMs(): number | null {
    const running = [...this.#running];
    const newest = running.findLast(([process]) => process.startsWith('r')) ?? running.at(-1);
    return newest?.[1].sinceMs ?? null;
  }

  /** Idempotent. */
  close(): void {
    this.#subscription.close();
    this.#timer?.cancel();
  }

  #marked(label: string, atMs: number): void {
    const said = parseLabel(label);
    if (said === null) return;
    this.activeAtMs = atMs;
    const { process } = said;
    if (said.kind === 'start') {
      this.commands++;
      this.#running.set(process, { command: said.command, sinceMs: this.activeAtMs });
      return;
    }
    const { outcome, exitCode, signal } = said;
    const command = this.#running.get(process)?.command ?? '';
    this.#running.delete(process);
    this.last = { process, command, outcome, exitCode, signal, endedAt: this.activeAtMs };
  }

  #printed(atMs: number): void {
    this.activeAtMs = atMs;
    this.#timer ??= (this.#options.clock ?? systemClock).after(TOLD_MS, () => {
      this.#timer = null;
      this.#options.changed();
    });
  }
}
