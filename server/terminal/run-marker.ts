// The markers of one run in the cast: one where it begins and one where it ends, so that a recording has chapters. Never more than these two.
import { endLabel, startLabel } from '../../protocol/command-mark.ts';
import type { TerminalRunResult } from '../../protocol/terminal.ts';
import type { FrameLog } from '../keeper/frame-log.ts';

export class RunMarker {
  readonly #log: FrameLog;
  #id: string | null = null;
  #startedMs = 0;

  constructor(log: FrameLog) {
    this.#log = log;
  }

  begin(id: string, command: string): void {
    this.#id = id;
    this.#startedMs = performance.now();
    this.#append(startLabel(id, command));
  }

  /** The marker of its beginning was put by a gateway before this one. */
  goOn(id: string, elapsedMs: number): void {
    this.#id = id;
    this.#startedMs = performance.now() - elapsedMs;
  }

  /** null: it was stopped and has no result. Nothing happens before begin and the second time. */
  end(result: TerminalRunResult | null): void {
    if (this.#id === null) return;
    const durationMs = result?.durationMs ?? performance.now() - this.#startedMs;
    const { outcome, exitCode } = result ?? { outcome: 'signaled' as const, exitCode: null };
    this.#append(endLabel(this.#id, { outcome, exitCode, signal: null, durationMs }));
    this.#id = null;
  }

  #append(label: string): void {
    if (!this.#log.closed) this.#log.append('m', label);
  }
}
