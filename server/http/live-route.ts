// /live/SLOT: a slot's live terminal for stock asciinema players. A viewer that is slow is given a fresh screen; it never slows the slot.
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { NumberedFrame } from '../../protocol/frame.ts';
import { requireSlot, type Scope } from '../auth/scope.ts';
import type { FrameLog } from '../keeper/frame-log.ts';
import { Cursor, type FreshScreen } from '../screen/cursor.ts';
import { flow, type Sink } from '../screen/flow.ts';
import type { LiveScreen } from '../screen/live-screen.ts';
import { type LiveEncoder, type LiveMessage, liveEncoder, liveProtocols, type SharedEvents } from './live-encoder.ts';

/** The part of a slot that is used here. */
export interface LiveSlot {
  readonly lease: {
    readonly ended: boolean;
    readonly log: FrameLog;
    readonly screen: LiveScreen;
    readonly ready: Promise<void>;
  } | null;
  /** Counts a viewer until it is closed. */
  view(): { close(): void };
}

export interface LiveOptions {
  readonly slots: {
    /** Throws SLOT_NOT_FOUND. */
    get(name: string): LiveSlot;
    /** Calls on every change of a slot. */
    listen(listener: () => void): { close(): void };
  };
  readonly log: Logger;
}

interface Visit {
  readonly admission: Scope;
  readonly url: URL;
}

interface Line {
  readonly socket: WebSocket;
  /** What the socket writes to. */
  readonly wire: Duplex;
}

/** A viewer says nothing; a control frame has at most 125 bytes. */
const MAX_PAYLOAD_BYTES = 1024;
const PREFIX = '/live/';
/** The kernel takes so much of a viewer that reads. */
const LITTLE_BYTES = 64 * 1024;

/** What is spoken below /live/, for the endpoint of all WebSockets. */
export class LiveRoute {
  readonly protocols: readonly string[] = liveProtocols;
  readonly defaultProtocol = liveProtocols[0];
  readonly maxPayloadBytes = MAX_PAYLOAD_BYTES;
  /** Going away: the player comes back. */
  readonly shutdownCode = 1001;
  readonly #options: LiveOptions;
  readonly #shared: SharedEvents = new WeakMap();

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  serves(pathname: string): boolean {
    return pathname.startsWith(PREFIX) && pathname.length > PREFIX.length;
  }

  check({ admission, url }: Visit): void {
    const slot = slotOf(url);
    requireSlot(admission, slot);
    this.#options.slots.get(slot);
  }

  open(socket: WebSocket, { url }: Visit, protocol: string, wire: Duplex): void {
    socket.on('message', () => socket.close(1008, 'viewers only watch'));
    const slot = this.#options.slots.get(slotOf(url));
    const encoder = liveEncoder(protocol, this.#shared);
    this.#show({ socket, wire }, slot, encoder).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'live stream failed');
      socket.close(1011, 'the live stream failed');
    });
  }

  /** One lease from its screen to its end. */
  async #show({ socket, wire }: Line, slot: LiveSlot, encoder: LiveEncoder): Promise<void> {
    const view = slot.view();
    socket.once('close', () => view.close());
    await send(socket, encoder.hello());
    const lease = await this.#leased(socket, slot);
    if (lease === null) return;
    await lease.ready;
    const cursor = new Cursor(lease.log, lease.screen);
    socket.once('close', () => cursor.close());
    const first = await cursor.begin();
    if (first !== null) await send(socket, encoder.screen(first.state));
    await flow(cursor, new LiveSink({ socket, wire }, encoder)).finally(() => cursor.close());
    await send(socket, encoder.end());
    socket.close(encoder.endCode, 'the lease has ended');
  }

  /** The lease of a slot, as soon as it has one; null when the viewer left before. */
  #leased(socket: WebSocket, slot: LiveSlot): Promise<LiveSlot['lease']> {
    const current = (): LiveSlot['lease'] => (slot.lease?.ended === false ? slot.lease : null);
    if (current() !== null) return Promise.resolve(current());
    return new Promise((resolve) => {
      const settle = (lease: LiveSlot['lease']): void => {
        subscription.close();
        socket.off('close', left);
        resolve(lease);
      };
      const left = (): void => settle(null);
      const subscription = this.#options.slots.listen(() => {
        const lease = current();
        if (lease !== null) settle(lease);
      });
      socket.once('close', left);
      if (socket.readyState !== socket.OPEN) left();
    });
  }
}

/** Sends at once what fits into the network's own buffers, else waits until it has left: what comes meanwhile is in the log, or makes a fresh screen. */
class LiveSink implements Sink {
  readonly #socket: WebSocket;
  readonly #wire: Duplex;
  readonly #encoder: LiveEncoder;
  #left: Promise<void> = Promise.resolve();

  constructor({ socket, wire }: Line, encoder: LiveEncoder) {
    this.#socket = socket;
    this.#wire = wire;
    this.#encoder = encoder;
  }

  frames(frames: readonly NumberedFrame[]): boolean {
    const messages = this.#encoder.frames(frames);
    const isLittle = this.#socket.bufferedAmount === 0 && sizeOf(messages) < LITTLE_BYTES;
    // One write for all: players want a message for each frame, and each would be written by itself.
    this.#wire.cork();
    // To be told that it has left costs as much as to send it.
    if (!isLittle) this.#left = send(this.#socket, messages);
    else if (this.#socket.readyState === this.#socket.OPEN) for (const message of messages) this.#socket.send(message);
    this.#wire.uncork();
    return isLittle;
  }

  screen({ state }: FreshScreen): void {
    this.#left = send(this.#socket, this.#encoder.screen(state));
  }

  ready(): Promise<void> {
    return this.#left;
  }
}

const sizeOf = (messages: readonly LiveMessage[]): number => messages.reduce((sum, message) => sum + message.length, 0);

/** Resolves when the last message was handed to the network, or the connection is gone. */
function send(socket: WebSocket, messages: readonly LiveMessage[]): Promise<void> {
  const last = messages.at(-1);
  if (last === undefined || socket.readyState !== socket.OPEN) return Promise.resolve();
  for (const message of messages.slice(0, -1)) socket.send(message);
  return new Promise((resolve) => socket.send(last, () => resolve()));
}

const slotOf = (url: URL): string => {
  const raw = url.pathname.slice(PREFIX.length);
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
};
