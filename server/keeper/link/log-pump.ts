// Sends the frames of one log as they come, as long as the other side takes them. It waits for nobody: what fell out of the ring meanwhile is
// only in the recording, and the other side is told to look there.
import type { NumberedFrame } from '../../../protocol/frame.ts';
import type { FrameLog } from '../frame-log.ts';
import type { Channel } from './channel.ts';
import type { News, WireFrame } from './contract.ts';
import { BYTES_BEHIND } from './wire.ts';

/** Not taken yet at which the pump rests: what other slots say waits behind it. */
const REST_BYTES = 128 * 1024;
/** Frames of one message. */
const READ_BYTES = 64 * 1024;
/** A marker waits for what comes with it: alone it would wake the other side, mostly while that waits for the command. */
const MARKER_MS = 4;
/** Data that is longer goes as bytes. */
const MAX_STRING_CHARS = 256;

export class LogPump {
  readonly #log: FrameLog;
  readonly #channel: Channel;
  readonly #subscription: { close(): void };
  /** Number of the last frame that was sent; null while the other side reads the recording. */
  #seq: number | null = null;
  #later: NodeJS.Timeout | null = null;
  /** Called when the other side has been told of the end of the log. */
  readonly #ended: () => void;

  constructor(parts: { readonly log: FrameLog; readonly channel: Channel; readonly ended: () => void }) {
    this.#log = parts.log;
    this.#channel = parts.channel;
    this.#ended = parts.ended;
    this.#subscription = this.#log.listen((frame) => {
      if (frame?.code === 'm') this.#later ??= setTimeout(() => this.pump(), MARKER_MS);
      else this.pump();
    });
  }

  /** Sends what comes after this frame; with a gap when some of it is gone. */
  start(after: number): void {
    this.#seq = Math.max(after, this.#log.firstSeq - 1);
    this.pump();
  }

  /** Sends what there is, while it is taken. */
  pump(): void {
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
    while (this.#seq !== null && this.#seq < this.#log.lastSeq && this.#channel.waiting < REST_BYTES) {
      const frames = this.#log.read(this.#seq, READ_BYTES);
      if ('from' in frames) {
        this.#seq = null;
        this.#tell('behind', { cast: this.#log.cast });
        return;
      }
      const seq = frames[0]?.seq ?? 0;
      this.#seq = frames.at(-1)?.seq ?? this.#seq;
      this.#tellFrames(seq, frames);
    }
    if (!this.#log.closed || this.#seq !== this.#log.lastSeq) return;
    this.#tell('logClosed', { cast: this.#log.cast });
    this.close();
    this.#ended();
  }

  close(): void {
    if (this.#later !== null) clearTimeout(this.#later);
    this.#subscription.close();
    this.#seq = null;
  }

  #tellFrames(seq: number, frames: readonly NumberedFrame[]): void {
    const wire = frames.map(wireFrame);
    const [timeMs = 0, code = 'o', data = ''] = wire.at(-1) ?? [];
    const isText = typeof data === 'string';
    if (!isText) wire[wire.length - 1] = [timeMs, code, BYTES_BEHIND];
    const news: News['frames'] = { cast: this.#log.cast, seq, frames: wire };
    this.#channel.tell('frames', news, isText ? undefined : data);
  }

  #tell<N extends keyof News>(name: N, params: News[N]): void {
    this.#channel.tell(name, params);
  }
}

const wireFrame = ({ timeMs, code, data }: NumberedFrame): WireFrame => [
  timeMs,
  code,
  data.length > MAX_STRING_CHARS ? Buffer.from(data) : data,
];
