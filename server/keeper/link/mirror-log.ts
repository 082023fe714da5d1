// The gateway's copy of a frame log that the keeper writes: the same numbers and times. It numbers nothing itself; what is appended here comes
// back as a frame.
import type { FrameCode, NumberedFrame } from '../../../protocol/frame.ts';
import { FrameLog } from '../frame-log.ts';
import type { LogSpec } from '../keeper.ts';
import type { WireFrame } from './contract.ts';
import { bufferOf } from './wire.ts';

export interface MirrorLogOptions {
  readonly spec: LogSpec;
  /** What the keeper's clock of this log says now, in ms. */
  readonly timeMs: number;
  readonly send: (code: FrameCode, data: string) => void;
}

export class MirrorLog extends FrameLog {
  readonly #send: MirrorLogOptions['send'];
  #waiting: { readonly seq: number; readonly resolve: () => void }[] = [];

  constructor({ spec, timeMs, send }: MirrorLogOptions) {
    const beganMs = performance.now() - timeMs;
    super({ ...spec, now: () => performance.now() - beganMs, startedMs: 0 });
    this.#send = send;
  }

  override append(code: FrameCode, data: string): void {
    if (!this.closed) this.#send(code, data);
  }

  /** Frames of the keeper; those that are here already are left out. */
  add(seq: number, frames: readonly WireFrame[]): void {
    for (const [index, [timeMs, code, sent]] of frames.entries()) {
      const data = typeof sent === 'string' ? sent : bufferOf(sent).toString();
      if (seq + index > this.lastSeq) this.take({ seq: seq + index, timeMs, code, data });
    }
    this.#wake();
  }

  /** Frames from the recording, in batches, with a rest after each; once the log is closed nobody looks at them any more. */
  async addRecorded(batches: AsyncIterable<readonly NumberedFrame[]>, rest: () => Promise<void>): Promise<void> {
    for await (const frames of batches) {
      if (this.closed) return;
      for (const frame of frames) if (frame.seq > this.lastSeq) this.take(frame);
      this.#wake();
      await rest();
    }
  }

  /** Resolves when the frame is here, or none comes any more. */
  reached(seq: number): Promise<void> {
    if (this.lastSeq >= seq || this.closed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ seq, resolve }));
  }

  override close(): void {
    super.close();
    this.#wake();
  }

  #wake(): void {
    const ready = this.#waiting.filter(({ seq }) => seq <= this.lastSeq || this.closed);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }
}
