// One end of the link between gateway and keeper: calls that are answered, and words that are not, both ways and in order.
// It never drops a message, and it tells how much waits to be sent.
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault, type FaultName } from '../../../protocol/fault.ts';
import { encodeMessage, LinkError, MessageDecoder } from './wire.ts';

/** `id`: to be answered. */
type Message =
  | { readonly id?: number; readonly name: string; readonly params: unknown }
  | { readonly re: number; readonly ok: unknown }
  | { readonly re: number; readonly fault: WireFault };

interface WireFault {
  readonly name: FaultName | null;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export type ChannelHandlers = Readonly<Record<string, (params: never) => unknown>>;

export interface ChannelOptions {
  /** By name; what one of them returns, or throws, answers a call. */
  readonly handlers: ChannelHandlers;
  /** Told of a word whose handler failed. */
  readonly failed: (error: unknown, name: string) => void;
}

/** Why a call has no answer: the other side is gone. */
export class LinkLost extends Error {
  override readonly name = 'LinkLost';
  /** It may have been done. */
  readonly wasSent: boolean;

  constructor(message: string, { wasSent }: { readonly wasSent: boolean }) {
    super(message);
    this.wasSent = wasSent;
  }
}

export class Channel {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #options: ChannelOptions;
  readonly #decoder = new MessageDecoder();
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #isCorked = false;
  #isClosed = false;

  constructor(socket: Socket, options: ChannelOptions) {
    this.#socket = socket;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end();
        resolve();
      });
    });
    socket.on('error', () => {});
    socket.on('data', (piece) => this.#read(piece));
  }

  /** Bytes that the other side has not taken yet. */
  get waiting(): number {
    return this.#socket.writableLength;
  }

  /** Calls when all that waited has left. */
  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  /** Rejects with the fault of the other side, or LinkLost. */
  call(name: string, params: unknown): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new LinkLost(`there is no link for ${name}`, { wasSent: false }));
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ id, name, params });
    });
  }

  /** Nothing happens on a closed link. `bytes` stand in place of BYTES_BEHIND, see encodeMessage, and must not change any more. */
  tell(name: string, params: unknown, bytes?: Uint8Array): void {
    this.#send({ name, params }, bytes);
  }

  /** What was sent before still arrives. */
  close(): void {
    this.#socket.end();
    this.#socket.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Resolves when all that had arrived here until now was looked at: it is read once in each turn of the loop, and this one may have passed it by. */
  async caughtUp(): Promise<void> {
    await nextTurn();
    await nextTurn();
  }

  #send(message: Message, bytes?: Uint8Array): void {
    if (this.#isClosed || !this.#socket.writable) return;
    const parts = encodeMessage(message, bytes);
    this.#cork();
    for (const part of parts) this.#socket.write(part);
  }

  /** What is sent in one turn of the loop leaves in one, also what waits for a promise that is settled: each write wakes the other side. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    const uncork = (): void => {
      this.#isCorked = false;
      this.#socket.uncork();
    };
    queueMicrotask(() => process.nextTick(uncork));
  }

  #read(piece: Buffer): void {
    try {
      for (const message of this.#decoder.decode(piece)) this.#take(message as Message);
    } catch (error) {
      this.#options.failed(error, 'message');
      this.#socket.destroy();
    }
  }

  #take(message: Message): void {
    if (typeof message !== 'object' || message === null) throw new LinkError('a message that is none');
    if ('re' in message) this.#settle(message);
    else if (typeof message.name !== 'string') throw new LinkError('a message without a name');
    else void this.#handle(message.name, message.params, message.id);
  }

  #settle(message: Extract<Message, { re: number }>): void {
    const pending = this.#pending.get(message.re);
    this.#pending.delete(message.re);
    if ('fault' in message) pending?.reject(errorOf(message.fault));
    else pending?.resolve(message.ok);
  }

  /** Up to its first await a handler runs before the next message is looked at. */
  async #handle(name: string, params: unknown, id: number | undefined): Promise<void> {
    const { handlers, failed } = this.#options;
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
      if (handler === undefined) throw new LinkError(`nothing here is called ${name.slice(0, 64)}`);
      const result = handler(params as never);
      const ok = result instanceof Promise ? await result : result;
      if (id !== undefined) this.#send({ re: id, ok: ok ?? null });
    } catch (error) {
      if (id === undefined) failed(error, name);
      else this.#send({ re: id, fault: faultOf(error) });
    }
  }

  #end(): void {
    this.#isClosed = true;
    for (const { reject } of this.#pending.values()) reject(new LinkLost('the link was cut', { wasSent: true }));
    this.#pending.clear();
  }
}

function faultOf(error: unknown): WireFault {
  if (error instanceof Fault) return { name: error.fault, message: error.message, data: error.detail };
  return { name: null, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

const errorOf = ({ name, message, data }: WireFault): Error =>
  name === null ? new Error(`the keeper says: ${message}`) : new Fault(name, message, data);
