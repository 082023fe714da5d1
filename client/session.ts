// What a client has open with its gateway: calls that outlast a lost connection, and the lease that is taken up again. It decides what a loss means
// for them; it does not decide what to call.
import type { MethodName, Notice, NotificationName, Params, Result } from '../protocol/contract.ts';
import { Fault } from '../protocol/fault.ts';
import type { Acquired } from '../protocol/slot.ts';
import { ConnectionError } from './connection-error.ts';
import { Emitter } from './emitter.ts';
import { Lease } from './lease.ts';
import { describeClose, Link } from './link.ts';
import { withKey } from './resend.ts';
import { type BatchCall, type BatchResult, type CallOptions, type Check, Rpc, type RpcOptions } from './rpc.ts';
import type { Close, Transport, TransportListener } from './transport.ts';

export interface SlotLost {
  readonly slot: string;
  /** LEASE_LOST or RESUME_GONE. */
  readonly fault: Fault;
}

export interface Disconnected extends Close {
  /** Whether the client goes on trying to come back. */
  readonly willReconnect: boolean;
}

/** The notifications of the contract, and what happens to the connection itself. */
export type ClientEvents = { [N in NotificationName]: Notice<N> } & {
  /** A lost connection is back; a lease that was held is resumed by now, or lost. */
  connected: { readonly resumed: boolean };
  disconnected: Disconnected;
  /** The lease goes on: what ran in the slot still does. */
  resumed: Acquired;
  /** The lease has ended without a release. */
  lost: SlotLost;
};

export interface SessionOptions {
  readonly open: (listener: TransportListener) => Promise<Transport>;
  readonly reconnect: boolean;
  readonly check: Check | null;
  readonly random: () => number;
}

export class Session {
  readonly events = new Emitter<ClientEvents>();
  readonly #rpc: Rpc;
  readonly #link: Link;
  readonly #reconnects: boolean;
  readonly #keyPrefix: string;
  #keys = 0;
  #lease: Lease | null = null;
  #isClosed = false;
  #isFirst = true;

  constructor({ open, reconnect, check, random }: SessionOptions) {
    this.#reconnects = reconnect;
    this.#keyPrefix = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('');
    this.#rpc = new Rpc(
      {
        notice: (name, params) => this.#notice(name, params),
        leaseLost: (fault) => this.#lose(fault),
        violation: (error) => void this.#fail(error),
      },
      check,
    );
    this.#link = new Link({
      open,
      message: (text) => this.#rpc.receive(text),
      up: (transport) => this.#up(transport),
      down: (close, isFinal) => this.#down(close, isFinal),
      // Any reply will do.
      probe: () => void this.#rpc.call('server.info', {}, { isFirst: true }).catch(() => {}),
      reconnect,
      random,
    });
  }

  /** The lease that this connection drives; null without one. */
  get lease(): Lease | null {
    return this.#lease;
  }

  get isConnected(): boolean {
    return this.#link.isUp;
  }

  async open(): Promise<void> {
    await this.#link.open();
  }

  call<M extends MethodName>(method: M, params: Params<M>, options: RpcOptions<M> = {}): Promise<Result<M>> {
    const onReply = (result: Result<M>): void => {
      this.#observe(method, params, result);
      options.onReply?.(result);
    };
    return this.#rpc.call(method, this.#repeatable(method, params), { ...options, onReply });
  }

  /** As `call` for each; an acquired lease is only known to who acquires it by `call`. */
  batch<const C extends readonly BatchCall[]>(calls: C, options?: CallOptions): Promise<BatchResult<C>> {
    const prepared = calls.map(({ method, params }) => ({ method, params: this.#repeatable(method, params) }));
    // The same calls in the same order.
    return this.#rpc.batch(prepared as unknown as C, options);
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#rpc.end(new ConnectionError('The client was closed.'));
    await this.#link.close();
  }

  #repeatable<M extends MethodName>(method: M, params: Params<M>): Params<M> {
    if (!this.#reconnects) return params;
    return withKey(method, params, () => `${this.#keyPrefix}-${++this.#keys}`);
  }

  async #up(transport: Transport): Promise<void> {
    this.#rpc.attach((text) => transport.send(text));
    const lease = this.#lease;
    const acquired = lease === null ? null : await this.#resumeLease(lease);
    this.#rpc.ready();
    if (this.#isFirst) {
      this.#isFirst = false;
      return;
    }
    if (acquired !== null) this.events.emit('resumed', acquired);
    this.events.emit('connected', { resumed: acquired !== null });
  }

  /** null when the lease is gone; rejects when it may still be had later. */
  async #resumeLease(lease: Lease): Promise<Acquired | null> {
    const { resume } = lease.acquired;
    try {
      const params = { resume, received: lease.received() };
      const acquired = await this.#rpc.call('slot.acquire', params, { isFirst: true });
      lease.renew(acquired);
      return acquired;
    } catch (error) {
      if (!(error instanceof Fault) || error.data.retry !== 'no') throw error;
      this.#lose(error);
      return null;
    }
  }

  #down(close: Close, isFinal: boolean): void {
    const error = close.code === CREDENTIAL_ENDED ? refused(close) : describeClose(close);
    if (isFinal) this.#rpc.end(error);
    else this.#rpc.detach(close.code);
    const willReconnect = !isFinal;
    this.events.emit('disconnected', { code: close.code, reason: close.reason, willReconnect });
    const taken = close.code === TAKEN_OVER;
    if (taken || (isFinal && !this.#isClosed)) this.#lose(new Fault('LEASE_LOST', taken ? close.reason : error.message));
  }

  #lose(fault: Fault): void {
    const lease = this.#lease;
    if (lease === null) return;
    this.#lease = null;
    this.#rpc.loseSlot(fault);
    this.events.emit('lost', { slot: lease.acquired.slot, fault });
  }

  /** The gateway breaks the contract: nothing that it says can be relied on. */
  async #fail(error: Error): Promise<void> {
    this.#isClosed = true;
    this.#rpc.end(error);
    await this.#link.close(PROTOCOL_ERROR);
  }

  #notice(name: NotificationName, params: unknown): void {
    if (name === 'exec.output') {
      const output = params as Notice<'exec.output'>;
      const fresh = this.#lease === null ? output : this.#lease.accept(output);
      if (fresh !== null) this.events.emit(name, fresh);
      return;
    }
    if (name === 'exec.exit') this.#lease?.ended((params as Notice<'exec.exit'>).process);
    this.events.emit(name, params as ClientEvents[typeof name]);
  }

  /** What replies say about the lease. */
  #observe<M extends MethodName>(method: M, params: Params<M>, result: Result<M>): void {
    if (method === 'slot.acquire' || method === 'slot.takeover') {
      const { received } = params as Params<'slot.acquire'>;
      this.#lease = new Lease(result as Acquired, received);
    } else if (method === 'slot.release') this.#lease = null;
    else if (method === 'exec.start') this.#lease?.started((result as Result<'exec.start'>).process);
    else if (method === 'exec.run') this.#lease?.ended((result as Result<'exec.run'>).process);
  }
}

/** Close codes: the credential has ended; another connection drives the slot; RFC 6455's for a broken protocol. */
const CREDENTIAL_ENDED = 4401;
const TAKEN_OVER = 4409;
const PROTOCOL_ERROR = 1002;

const refused = ({ reason }: Close): Fault => new Fault('UNAUTHENTICATED', reason || 'The token has ended.');
