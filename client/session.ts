// What a client has open with its gateway: calls that outlast a lost connection, and the lease that is taken up again. It decides what a loss means
// for them; it does not decide what to call.
import type { MethodName, Notice, NotificationName, Params, Result } from '../protocol/contract.ts';
import { Fault } from '../protocol/fault.ts';
import type { Acquired } from '../protocol/slot.ts';
import { ConnectionError } from './connection-error.ts';
import { Emitter } from './emitter.ts';
import { Lease, type Notified } from './lease.ts';
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
  /** No connection will come any more, since the client was closed, its credential ended, or it was told not to reconnect. */
  closed: { readonly error: Error };
};

export interface SessionOptions {
  readonly open: (listener: TransportListener, signal: AbortSignal) => Promise<Transport>;
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
  /** Asked for, and not replied yet. */
  #asked: Lease | null = null;
  #early: Notified[] = [];
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
    const result = this.#rpc.call(method, this.#prepare(method, params), this.#observed(method, options));
    if (asksForLease(method)) result.catch(() => this.#forgetAsked());
    return result;
  }

  /** As `call` for each, in one message: they run side by side, and their replies come together. */
  async batch<const C extends readonly BatchCall[]>(calls: C, options: CallOptions = {}): Promise<BatchResult<C>> {
    const prepared = calls.map(({ method, params }) => ({
      method,
      params: this.#prepare(method, params),
      ...this.#observed(method, options),
    }));
    // The order is that of the calls, so each result has its call's type.
    const results = await this.#rpc.batch(prepared);
    const failed = results.some(
      (result, at) => result.status === 'rejected' && asksForLease(calls[at]?.method ?? 'server.info'),
    );
    if (failed) this.#forgetAsked();
    return results as BatchResult<C>;
  }

  /** What came of commands while the lease was being asked for: they were started before. Given once. */
  takeEarly(): readonly Notified[] {
    return this.#early.splice(0);
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  async close(): Promise<void> {
    this.#end(new ConnectionError('The client was closed.'));
    await this.#link.close();
  }

  /** Makes a call repeatable where that takes something, and notes what it will bring. */
  #prepare<M extends MethodName>(method: M, params: Params<M>): Params<M> {
    if (asksForLease(method) && this.#lease === null) {
      this.#asked = new Lease((params as Params<'slot.acquire'>).received);
    }
    return this.#reconnects ? withKey(method, params, () => `${this.#keyPrefix}-${++this.#keys}`) : params;
  }

  #forgetAsked(): void {
    this.#asked = null;
    this.#early = [];
  }

  #observed<M extends MethodName>(method: M, options: RpcOptions<M>): RpcOptions<M> {
    const onReply = (result: Result<M>): void => {
      this.#observe(method, result);
      options.onReply?.(result);
    };
    return { ...options, onReply };
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
    try {
      const params = { resume: lease.acquired?.resume, received: lease.received() };
      const acquired = await this.#rpc.call('slot.acquire', params, { isFirst: true });
      lease.bind(acquired);
      return acquired;
    } catch (error) {
      if (!(error instanceof Fault) || error.data.retry !== 'no') throw error;
      this.#lose(error);
      return null;
    }
  }

  #down(close: Close, isFinal: boolean): void {
    if (!isFinal) this.#rpc.detach(close.code);
    this.events.emit('disconnected', { code: close.code, reason: close.reason, willReconnect: !isFinal });
    if (close.code === TAKEN_OVER) this.#lose(new Fault('LEASE_LOST', close.reason));
    if (isFinal) this.#end(close.code === CREDENTIAL_ENDED ? refused(close) : describeClose(close));
  }

  #lose(fault: Fault): void {
    const slot = this.#lease?.acquired?.slot;
    if (slot === undefined) return;
    this.#lease = null;
    this.#rpc.loseSlot(fault);
    this.events.emit('lost', { slot, fault });
  }

  #end(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rpc.end(error);
    this.events.emit('closed', { error });
  }

  /** The gateway breaks the contract: nothing that it says can be relied on. */
  async #fail(error: Error): Promise<void> {
    this.#end(error);
    await this.#link.close(CONTRACT_BROKEN);
  }

  #notice(name: NotificationName, params: unknown): void {
    if (name === 'exec.output') this.#output(params as Notice<'exec.output'>);
    else if (name === 'exec.exit') this.#exit(params as Notice<'exec.exit'>);
    else this.events.emit(name, params as ClientEvents[typeof name]);
  }

  #output(given: Notice<'exec.output'>): void {
    const lease = this.#asked ?? this.#lease;
    const output = lease === null ? given : lease.accept(given);
    if (output === null) return;
    if (this.#asked !== null) this.#early.push({ output });
    this.events.emit('exec.output', output);
  }

  #exit(exit: Notice<'exec.exit'>): void {
    const lease = this.#asked ?? this.#lease;
    lease?.ended(exit.process);
    if (this.#asked !== null) this.#early.push({ exit });
    this.events.emit('exec.exit', exit);
  }

  /** What replies say about the lease. */
  /** What replies say about the lease. */
  #observe<M extends MethodName>(method: M, result: Result<M>): void {
    if (asksForLease(method)) {
      this.#lease = this.#asked ?? new Lease();
      this.#asked = null;
      this.#lease.bind(result as Acquired);
    } else if (method === 'slot.release') this.#lease = null;
    else if (method === 'exec.start') this.#lease?.started((result as Result<'exec.start'>).process);
    else if (method === 'exec.run') this.#lease?.ended((result as Result<'exec.run'>).process);
  }
}

const asksForLease = (method: MethodName): boolean => method === 'slot.acquire' || method === 'slot.takeover';

/** Close codes: the credential has ended; another connection drives the slot; what came was no reply of the contract. */
const CREDENTIAL_ENDED = 4401;
const TAKEN_OVER = 4409;
const CONTRACT_BROKEN = 4400;

const refused = ({ reason }: Close): Fault => new Fault('UNAUTHENTICATED', reason || 'The token has ended.');
