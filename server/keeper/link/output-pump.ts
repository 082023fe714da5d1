// Sends what one command prints to who asked for it, never more than he has room for: then the command's pipe fills up.
import type { KeptProcess, StreamName, Subscription } from '../keeper.ts';
import type { Channel } from './channel.ts';
import type { News } from './contract.ts';
import { BYTES_BEHIND } from './wire.ts';

/** Of one message, and of the one that a client gets of it: JSON of so much is made, sent and read within a millisecond, in memory that Node has at hand. */
const CHUNK_BYTES = 32 * 1024;
/** Sent and not used up yet, of each stream: enough for a fast reader, and little for what other slots say, which waits behind it. */
const WINDOW_BYTES = 64 * 1024;

interface Window {
  bytes: number;
  open: (() => void) | null;
}

export class OutputPump {
  readonly #windows: Readonly<Record<StreamName, Window>> = {
    stdout: { bytes: 0, open: null },
    stderr: { bytes: 0, open: null },
  };
  readonly #subscription: Subscription;

  constructor(parts: {
    readonly process: KeptProcess;
    readonly channel: Channel;
    /** The name under which it is sent. */
    readonly as: number;
    readonly from: Readonly<Record<StreamName, number>>;
  }) {
    const { process, channel, as, from } = parts;
    const chunk = (stream: StreamName, data: Buffer, offset: number): Promise<void> | void => {
      for (let at = 0; at < data.length; at += CHUNK_BYTES) {
        const news: News['chunk'] = { as, stream, offset: offset + at, data: BYTES_BEHIND };
        channel.tell('chunk', news, data.subarray(at, at + CHUNK_BYTES));
      }
      const window = this.#windows[stream];
      window.bytes += data.length;
      if (window.bytes < WINDOW_BYTES) return;
      return new Promise((resolve) => {
        window.open = resolve;
      });
    };
    this.#subscription = process.subscribe({ chunk }, from);
  }

  /** So many bytes have been used up. */
  taken(stream: StreamName, bytes: number): void {
    const window = this.#windows[stream];
    window.bytes -= bytes;
    if (window.bytes >= WINDOW_BYTES) return;
    window.open?.();
    window.open = null;
  }

  close(): void {
    this.#subscription.close();
  }
}
