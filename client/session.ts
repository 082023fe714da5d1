// What a client has open with its gateway: calls that outlast a lost connection, and the lease that is taken up again. It decides what a loss means
// for them; it does not decide what to call.
import type { MethodName, Notice, NotificationName, Params, Result } from '../protocol/contract.ts';
import { Fault } from '../protocol/fault.ts';
import type { Acquired } from '../protocol/slot.ts';
import { ConnectionError } from './connection-error.ts';
import { Emitter } from './emitter.ts';
import { GiveBackWait } from './give-back.ts';
import { Lease, type Notified } from './lease.ts';
import { describeClose, Link } from './link.ts';
import { endsHold, withKey } from './resend.ts';
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
  /** A lost connection is back; a lease that was held is resumed by now, or lost, or somebody else drives it still. */
  connected: { readonly resumed: boolean };
  disconnected: Disconnected;
  /** The lease goes on: what ran in the slot still does. */
  resumed: Acquired;
  /** Somebody else drives the slot for a while: what ran goes on, calls that mean the slot wait until it is given back. */
  takenOver: { readonly slot: string };
  /** After `takenOver` and `resumed`: this client drives the slot again. */
  givenBack: { readonly slot: string };
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
  readonly #random: () => number;
  readonly #keyPrefix: string;
  #keys = 0;
  #lease: Lease | null = null;
  /** Asked for, and not replied yet. */
  #asked: Lease | null = null;
  #early: Notified[] = [];
  #isTakenOver = false;
  /** Whether the gateway closed the last connection since another one drives the slot. */
  #wasReplaced = false;
  #giveBackWait: GiveBackWait | null = null;
  #isClosed = false;
  #isFirst = true;

  constructor({ open, reconnect, check, random }: SessionOptions) {
    this.#reconnects = reconnect;
    this.#random = random;
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
    if (asksForLease(method) && (this.#lease === null || this.#isTakenOver)) {
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
    const found = lease === null ? null : await this.#resumeLease(lease);
    this.#rpc.ready({ withSlot: found !== 'takenOver' });
    if (this.#isFirst) {
      this.#isFirst = false;
      return;
    }
    if (found === 'takenOver') this.#awaitGiveBack();
    else if (found !== null) this.#back(found);
    this.events.emit('connected', { resumed: found !== null && found !== 'takenOver' });
  }

  /** null when the lease is gone; rejects when it may still be had later. */
  async #resumeLease(lease: Lease): Promise<Acquired | 'takenOver' | null> {
    try {
      if (this.#wasReplaced) await this.#refuseFight(lease);
      const params = { resume: lease.acquired?.resume, received: lease.received() };
      const acquired = await this.#rpc.call('slot.acquire', params, { isFirst: true });
      lease.bind(acquired);
      return acquired;
    } catch (error) {
      if (error instanceof Fault && error.detail['takenOver'] === true) {
        this.#enterTakenOver();
        return 'takenOver';
      }
      if (!(error instanceof Fault) || error.data.retry !== 'no') throw error;
      this.#lose(error);
      return null;
    }
  }

  /** LEASE_LOST when another connection drives by the same secret: resuming would only take it away from that one, and so on for ever. */
  async #refuseFight({ acquired }: Lease): Promise<void> {
    if (acquired === null) return;
    const { slot, cast } = acquired;
    const info = await this.#rpc.call('slot.info', { slot }, { isFirst: true });
    if (info.cast === cast && info.connected && !info.takenOver) {
      throw new Fault('LEASE_LOST', `${slot} is driven by another connection that resumed its lease.`);
    }
    this.#wasReplaced = false;
  }

  #enterTakenOver(): void {
    const slot = this.#lease?.acquired?.slot;
    if (this.#isTakenOver || slot === undefined) return;
    this.#isTakenOver = true;
    this.events.emit('takenOver', { slot });
  }

  #awaitGiveBack(): void {
    this.#giveBackWait?.close();
    const ask = async (): Promise<boolean> => {
      const lease = this.#lease;
      if (lease === null || !this.#isTakenOver) return true;
      const found = await this.#resumeLease(lease).catch((error: unknown) => {
        // A lost connection ends the waiting: the next one asks anew. What the gateway replied may change.
        if (error instanceof Fault) return 'takenOver' as const;
        throw error;
      });
      if (found === 'takenOver') return false;
      this.#rpc.ready();
      if (found !== null) this.#back(found);
      return true;
    };
    this.#giveBackWait = new GiveBackWait({ ask, random: this.#random });
  }

  #back(acquired: Acquired): void {
    const wasTakenOver = this.#isTakenOver;
    this.#isTakenOver = false;
    this.events.emit('resumed', acquired);
    if (wasTakenOver) this.events.emit('givenBack', { slot: acquired.slot });
  }

  #down(close: Close, isFinal: boolean): void {
    this.#giveBackWait?.close();
    if (!isFinal) this.#rpc.detach(close.code);
    this.events.emit('disconnected', { code: close.code, reason: close.reason, willReconnect: !isFinal });
    if (close.code === TAKEN_OVER && this.#lease !== null) {
      this.#wasReplaced = true;
      if (isFinal) this.#lose(new Fault('LEASE_LOST', close.reason));
      else this.#enterTakenOver();
    }
    if (isFinal) this.#end(close.code === CREDENTIAL_ENDED ? refused(close) : describeClose(close));
  }

  #lose(fault: Fault): void {
    const slot = this.#lease?.acquired?.slot;
    if (slot === undefined) return;
    this.#lease = null;
    this.#forgetTakeover();
    this.#rpc.loseSlot(fault);
    this.events.emit('lost', { slot, fault });
  }

  #forgetTakeover(): void {
    this.#isTakenOver = false;
    this.#wasReplaced = false;
    this.#giveBackWait?.close();
  }

  #end(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#giveBackWait?.close();
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

  /** The user did not want to wait for the slot that somebody else drives, and has got another one. */
  #replaceTakenOver(): void {
    this.#lose(new Fault('LEASE_LOST', 'Another slot was acquired while this one was taken over.'));
    this.#rpc.ready();
  }

  /** What replies say about the lease. */
  #observe<M extends MethodName>(method: M, result: Result<M>): void {
    if (asksForLease(method)) {
      if (this.#isTakenOver) this.#replaceTakenOver();
      this.#lease = this.#asked ?? new Lease();
      this.#asked = null;
      this.#lease.bind(result as Acquired);
    } else if (endsHold(method)) this.#lease = null;
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
