// One subscriber of a process: hands it what was kept, then what comes, in order and one piece a stream at a time. It never holds more than it was handed.
import type { KeptOutput, ProcessSink, StreamName } from './keeper.ts';

/** What was kept is handed over in pieces, so that a slow sink isn't given 64 MiB at once. */
const PIECE_BYTES = 64 * 1024;

interface Piece {
  readonly data: Buffer;
  readonly offset: number;
}

export class Follower {
  readonly #sink: ProcessSink;
  readonly #idle: () => void;
  readonly #queues: Readonly<Record<StreamName, Piece[]>> = { stdout: [], stderr: [] };
  readonly #waiting: Record<StreamName, boolean> = { stdout: false, stderr: false };
  #closed = false;

  /** `idle` is called whenever a sink that was waited for is ready again. */
  constructor(sink: ProcessSink, idle: () => void) {
    this.#sink = sink;
    this.#idle = idle;
  }

  /** While true that stream should not be read. */
  busy(stream: StreamName): boolean {
    return !this.#closed && this.#waiting[stream];
  }

  /** What of the kept output stands after `from`. */
  catchUp(stream: StreamName, kept: KeptOutput, from: number): void {
    const { head, tail, total } = kept;
    this.#queuePart(stream, { data: head, offset: 0 }, from);
    this.#queuePart(stream, { data: tail, offset: total - tail.length }, from);
    this.#pump(stream);
  }

  push(stream: StreamName, data: Buffer, offset: number): void {
    if (this.#closed) return;
    this.#queues[stream].push({ data, offset });
    this.#pump(stream);
  }

  /** Hands over all that is left without waiting: the process is dead, so this is the last. */
  flush(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      for (const piece of this.#queues[stream].splice(0)) void this.#hand(stream, piece);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queues.stdout.length = 0;
    this.#queues.stderr.length = 0;
    this.#idle();
  }

  #queuePart(stream: StreamName, part: Piece, from: number): void {
    const skip = Math.max(0, from - part.offset);
    for (let at = skip; at < part.data.length; at += PIECE_BYTES) {
      this.#queues[stream].push({ data: part.data.subarray(at, at + PIECE_BYTES), offset: part.offset + at });
    }
  }

  #pump(stream: StreamName): void {
    while (!this.#waiting[stream]) {
      const piece = this.#queues[stream].shift();
      if (piece === undefined) return;
      const taken = this.#hand(stream, piece);
      if (taken === null) continue;
      this.#waiting[stream] = true;
      void taken.then(() => {
        this.#waiting[stream] = false;
        this.#pump(stream);
        if (!this.#waiting[stream]) this.#idle();
      });
    }
  }

  /** null when the sink took it at once. A sink that fails is left out from then on: it may die, the process may not. */
  #hand(stream: StreamName, { data, offset }: Piece): Promise<void> | null {
    try {
      const taken = this.#sink.chunk(stream, data, offset);
      return taken instanceof Promise ? taken.catch(() => this.close()) : null;
    } catch {
      this.close();
      return null;
    }
  }
}
