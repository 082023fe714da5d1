// The client: one connection to a gateway, and everything that can be asked over it. Works in Node and in browsers.
import type { MethodName, Params, Result } from '../protocol/contract.ts';
import type { SlotInfo } from '../protocol/slot.ts';
import { addressOf } from './address.ts';
import { Casts } from './cast.ts';
import { Http } from './http.ts';
import type { BatchCall, BatchResult, Caller, CallOptions } from './rpc.ts';
import { Server } from './server.ts';
import { type ClientEvents, Session } from './session.ts';
import { Slot } from './slot.ts';
import { SlotWatch } from './slot-watch.ts';
import { openTransport, type SocketConstructor } from './transport.ts';
import { Watch } from './watch.ts';

export interface ConnectOptions {
  /** Of the gateway: `http://127.0.0.1:8080`, `https://host/path/`. */
  readonly url: string;
  /** In Node it goes into a header, in browsers beside the subprotocol. Without one a browser sends its cookie. */
  readonly token?: string | undefined;
  /** Further headers of every request; only in Node. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A WebSocket of your own, made like the browser's. */
  readonly WebSocket?: SocketConstructor;
  /** Whether a lost connection is opened again and the lease resumed; true unless told otherwise. */
  readonly reconnect?: boolean;
  /** Checks everything that comes against the contract, and closes the connection at a breach: for tests. */
  readonly validate?: boolean;
  /** For the pauses between tries, from 0 to below 1. */
  readonly random?: () => number;
}

type Optional<M extends MethodName> = Record<never, never> extends Params<M> ? true : false;
type CallArguments<M extends MethodName> =
  Optional<M> extends true ? [params?: Params<M>, options?: CallOptions] : [params: Params<M>, options?: CallOptions];

/**
 * Opens a connection. Rejects with a Fault when the gateway refuses (UNAUTHENTICATED, FORBIDDEN), with a ConnectionError when there is none to
 * be reached, and with a TypeError when the options make no sense.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const { token, headers = {}, WebSocket, reconnect = true, validate = false, random = Math.random } = options;
  const { socket, base } = addressOf(options.url);
  const session = new Session({
    open: (listener, signal) => openTransport({ url: socket, token, headers, WebSocket, signal }, listener),
    reconnect,
    check: validate ? (await import('./check.ts')).contractCheck : null,
    random,
  });
  await session.open();
  return new Client(base, session, new Http({ base, token, headers }));
}

export class Client {
  /** Of the gateway, ends with a slash. */
  readonly url: string;
  readonly server: Server;
  readonly cast: Casts;
  readonly #session: Session;
  readonly #http: Http;
  #slotWatches = 0;
  #screenWatches = 0;

  constructor(url: string, session: Session, http: Http) {
    this.url = url;
    this.#session = session;
    this.#http = http;
    const call: Caller = (method, params, options) => session.call(method, params, options);
    this.server = new Server(call);
    this.cast = new Casts(call, http);
  }

  get isConnected(): boolean {
    return this.#session.isConnected;
  }

  /**
   * Calls any method of the contract. Rejects with the gateway's Fault; with an UnconfirmedError when the reply was lost and it can't be known
   * whether the call took effect; with a ConnectionError when it was never made. Waits while the connection is being opened again.
   */
  call<M extends MethodName>(method: M, ...[params, options]: CallArguments<M>): Promise<Result<M>> {
    // Left out only where every field is optional.
    return this.#session.call(method, params ?? ({} as Params<M>), options);
  }

  /** Many calls in one message. They run side by side; each has its own result or reason, in the order of the calls. */
  batch<const C extends readonly BatchCall[]>(calls: C, options?: CallOptions): Promise<BatchResult<C>> {
    return this.#session.batch(calls, options);
  }

  /** Calls on every such notification or event; returns how to stop that. Output of a resumed command comes only once. */
  on<E extends keyof ClientEvents>(name: E, listener: (value: ClientEvents[E]) => void): () => void {
    return this.#session.events.on(name, listener);
  }

  /** Leases a slot, any free one unless named, or with `resume` takes a lease up again. A client holds one lease at a time. */
  async acquire(params: Params<'slot.acquire'> = {}, options?: CallOptions): Promise<Slot> {
    return this.#slot((onReply) => this.#session.call('slot.acquire', params, { ...options, onReply }));
  }

  /** Takes over the lease that another client holds: as an admin, or as an agent who names its label. */
  async takeover(params: Params<'slot.takeover'>, options?: CallOptions): Promise<Slot> {
    return this.#slot((onReply) => this.#session.call('slot.takeover', params, { ...options, onReply }));
  }

  /** Every slot that the token allows. */
  async slots(options?: CallOptions): Promise<readonly SlotInfo[]> {
    return (await this.call('slot.list', {}, options)).slots;
  }

  /** The list of slots, again with each change; with `screens` the event `slots.screens` tells what stands on their terminals. */
  async watchSlots({ screens = false }: { readonly screens?: boolean } = {}): Promise<SlotWatch> {
    const { events } = this.#session;
    const ask = async () =>
      (await this.call('watch.slots', { on: this.#slotWatches > 0, screens: this.#screenWatches > 0 })).slots;
    this.#slotWatches++;
    if (screens) this.#screenWatches++;
    const end = async (): Promise<void> => {
      this.#slotWatches--;
      if (screens) this.#screenWatches--;
      if (screens || this.#slotWatches === 0) await ask().catch(() => {});
    };
    const starting = SlotWatch.start({
      begin: ask,
      end,
      listen: (listener) =>
        together([
          events.on('slots.changed', ({ slots }) => listener.changed(slots)),
          events.on('connected', () => listener.connected()),
          events.on('closed', ({ error }) => listener.closed(error)),
        ]),
    });
    return await starting.catch(async (error: unknown) => {
      await end();
      throw error;
    });
  }

  /** The terminal of a slot as it lives; `since` and `cast` go on from a frame that was seen before. */
  async watch(params: Params<'watch.start'> = {}): Promise<Watch> {
    const { events } = this.#session;
    return await Watch.start(params, {
      call: (method, given, options) => this.#session.call(method, given, options),
      listen: (listener) =>
        together([
          events.on('watch.frames', (notice) => listener.notice({ name: 'watch.frames', ...notice })),
          events.on('watch.resync', (notice) => listener.notice({ name: 'watch.resync', ...notice })),
          events.on('watch.end', (notice) => listener.notice({ name: 'watch.end', ...notice })),
          events.on('connected', () => listener.connected()),
          events.on('closed', ({ error }) => listener.closed(error)),
        ]),
    });
  }

  /** A POST to one of the gateway's HTTP routes that has no method, such as `tokens`. */
  async post(path: string, body: unknown): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const reply = await this.#http.request(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return await reply.json();
  }

  /** Stops reading from the connection, so that the gateway slows down what it sends; replies wait as well. Only in Node. */
  pause(): void {
    this.#session.pause();
  }

  resume(): void {
    this.#session.resume();
  }

  /** Closes the connection; a lease that is held lasts for its grace time, so release it first. Idempotent. */
  async close(): Promise<void> {
    await this.#session.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #slot(lease: (onReply: (acquired: Result<'slot.acquire'>) => void) => Promise<unknown>): Promise<Slot> {
    let slot: Slot | null = null;
    // Made in the same turn in which the reply came: news of what runs in it may follow at once.
    await lease((acquired) => {
      slot = new Slot({
        acquired,
        session: this.#session,
        http: this.#http,
        watch: (params) => this.watch(params),
      });
    });
    if (slot === null) throw new TypeError('A reply without its result.');
    return slot;
  }
}

const together = (stops: readonly (() => void)[]) => (): void => {
  for (const stop of stops) stop();
};
