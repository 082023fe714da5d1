// Calls and their replies over whatever connection there is: ids, pending calls, batches, cancelling. It settles every call exactly once, and never
// says that a call failed when it may have been done.
import type { MethodName, NotificationName, Params, Result } from '../protocol/contract.ts';
import { encodeBatch, encodeNotification, encodeRequest, MAX_BATCH, parseOutgoing } from '../protocol/envelope.ts';
import { Fault } from '../protocol/fault.ts';
import { ConnectionError, UnconfirmedError } from './connection-error.ts';
import { faultOfError } from './refusal.ts';
import { drivesSlot, endsHold, isRepeatable, mayResend, needsHold } from './resend.ts';

export interface CallOptions {
  /** Aborting it cancels the call: it ends with the fault CANCELLED, and what it started is stopped. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls a method of the contract. */
export type Caller = <M extends MethodName>(
  method: M,
  params: Params<M>,
  options?: CallOptions & ReplyOptions<M>,
) => Promise<Result<M>>;

export interface ReplyOptions<M extends MethodName> {
  /** Called with the result in the same turn in which it came, before any later message is read. */
  readonly onReply?: (result: Result<M>) => void;
}

export interface RpcOptions<M extends MethodName> extends CallOptions, ReplyOptions<M> {
  /** Is sent while others still wait for the connection to be resumed, and never twice. */
  readonly isFirst?: boolean;
}

export interface BatchCall<M extends MethodName = MethodName> {
  readonly method: M;
  readonly params: Params<M>;
}

export type BatchResult<C extends readonly BatchCall[]> = {
  -readonly [I in keyof C]: PromiseSettledResult<Result<C[I]['method']>>;
};

/** Checks what comes against the contract; throws what is wrong with it. */
export interface Check {
  result(method: string, value: unknown): void;
  notice(name: string, value: unknown): void;
}

export interface RpcListener {
  notice(name: NotificationName, params: unknown): void;
  /** A reply by which the gateway says that this connection drives no slot any more. */
  leaseLost(fault: Fault): void;
  /** Something came that the contract does not allow. */
  violation(error: Error): void;
}

interface Pending {
  readonly id: number;
  readonly method: MethodName;
  readonly text: string;
  readonly mayResend: boolean;
  readonly isFirst: boolean;
  readonly needsHold: boolean;
  /** On the present connection. */
  isSent: boolean;
  /** On this or an earlier one. */
  wasSent: boolean;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class Rpc {
  readonly #listener: RpcListener;
  readonly #check: Check | null;
  readonly #pending = new Map<number, Pending>();
  /** Those of them that are not on the present connection. */
  readonly #unsent = new Set<Pending>();
  #send: ((text: string) => void) | null = null;
  #isReady = false;
  /** Whether the slot is driven by somebody else for now: what means it waits. */
  #isHeldBack = false;
  #ended: Error | null = null;
  #lastId = 0;

  constructor(listener: RpcListener, check: Check | null) {
    this.#listener = listener;
    this.#check = check;
  }

  /** Waits while there is no connection; see `detach` for what becomes of it when one is lost. */
  call<M extends MethodName>(method: M, params: Params<M>, options: RpcOptions<M> = {}): Promise<Result<M>> {
    const result = this.#begin(method, params, options);
    this.#flush();
    return result;
  }

  /** Sends the calls as batches: they run side by side, and their replies come together. */
  async batch(calls: readonly (BatchCall & RpcOptions<MethodName>)[]): Promise<PromiseSettledResult<unknown>[]> {
    const results = calls.map(({ method, params, ...options }) => this.#begin(method, params, options));
    this.#flushAsBatch();
    return await Promise.allSettled(results);
  }

  /** There is a connection: only calls that are first are sent until `ready`. */
  attach(send: (text: string) => void): void {
    this.#send = send;
  }

  /** Sends what waited; but for what means the slot while that is driven by somebody else. */
  ready({ withSlot = true }: { readonly withSlot?: boolean } = {}): void {
    this.#isReady = true;
    this.#isHeldBack = !withSlot;
    this.#flush();
  }

  /** The connection is lost, another will come: what may be sent again waits for it, the rest is rejected. */
  detach(code: number): void {
    this.#send = null;
    this.#isReady = false;
    if (code === CLOSE_TOO_LARGE) this.#rejectLargest();
    for (const pending of this.#pending.values()) {
      if (!pending.isSent) continue;
      pending.isSent = false;
      if (pending.isFirst) pending.reject(new ConnectionError(`${pending.method}: the connection was lost`, code));
      else if (!pending.mayResend) pending.reject(new UnconfirmedError(pending.method, LOST, code));
      else this.#unsent.add(pending);
    }
  }

  /** The slot is not ours any more: what was meant for it fails. A release that was sent has done its work. */
  loseSlot(fault: Fault): void {
    for (const pending of this.#unsent) {
      if (!drivesSlot(pending.method)) continue;
      if (endsHold(pending.method) && pending.wasSent) pending.resolve({});
      else pending.reject(fault);
    }
  }

  /** No connection will come any more: every call fails, later ones too. */
  end(error: Error): void {
    this.#ended ??= error;
    this.#send = null;
    this.#isReady = false;
    for (const pending of this.#pending.values()) {
      const mayBeDone = pending.wasSent && !isRepeatable(pending.method);
      pending.reject(mayBeDone ? new UnconfirmedError(pending.method, error.message) : error);
    }
  }

  /** Reads one text frame of the gateway. */
  receive(text: string): void {
    for (const message of this.#parse(text)) {
      if (message.kind === 'notification') this.#notice(message.method, message.params);
      else if (message.kind === 'result') this.#settle(message.id, { result: message.result });
      else if (message.id !== null) this.#settle(message.id, { fault: faultOfError(message.error) });
      else this.#listener.violation(faultOfError(message.error));
    }
  }

  #parse(text: string): ReturnType<typeof parseOutgoing> {
    try {
      return parseOutgoing(text);
    } catch (error) {
      this.#listener.violation(error as Fault);
      return [];
    }
  }

  #begin<M extends MethodName>(method: M, params: Params<M>, options: RpcOptions<M>): Promise<Result<M>> {
    const { signal, onReply, isFirst = false } = options;
    if (this.#ended !== null) return Promise.reject(this.#ended);
    if (signal?.aborted) return Promise.reject(cancelledUnsent(method));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const abort = (): void => this.#cancel(pending);
      const settled = (): void => {
        this.#pending.delete(id);
        this.#unsent.delete(pending);
        signal?.removeEventListener('abort', abort);
      };
      const pending: Pending = {
        id,
        method,
        text: encodeRequest(id, method, params),
        mayResend: mayResend(method, params),
        isFirst,
        needsHold: needsHold(method, params),
        isSent: false,
        wasSent: false,
        resolve: (result) => {
          settled();
          onReply?.(result as Result<M>);
          resolve(result as Result<M>);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      this.#pending.set(id, pending);
      this.#unsent.add(pending);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  #flush(): void {
    if (this.#send === null) return;
    for (const pending of this.#unsent) {
      if (!this.#maySend(pending)) continue;
      this.#mark(pending);
      this.#send(pending.text);
    }
  }

  #flushAsBatch(): void {
    if (this.#send === null || !this.#isReady) return;
    const waiting = [...this.#unsent].filter((pending) => this.#maySend(pending));
    for (let from = 0; from < waiting.length; from += MAX_BATCH) {
      const part = waiting.slice(from, from + MAX_BATCH);
      for (const pending of part) this.#mark(pending);
      this.#send(encodeBatch(part.map(({ text }) => text)));
    }
  }

  #maySend({ isFirst, needsHold }: Pending): boolean {
    return isFirst || (this.#isReady && !(needsHold && this.#isHeldBack));
  }

  #mark(pending: Pending): void {
    this.#unsent.delete(pending);
    pending.isSent = true;
    pending.wasSent = true;
  }

  #cancel(pending: Pending): void {
    const { id, method } = pending;
    // The reply tells how it ended.
    if (pending.isSent) this.#send?.(encodeNotification('$/cancelRequest', { id }));
    else if (pending.wasSent)
      pending.reject(new UnconfirmedError(method, 'it was cancelled while the connection was away'));
    else pending.reject(cancelledUnsent(method));
  }

  #settle(id: string | number, outcome: { result: unknown } | { fault: Fault }): void {
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    // Cancelled while the connection was away, and sent before: nobody waits any more.
    if (pending === undefined) return;
    if ('fault' in outcome) {
      pending.reject(outcome.fault);
      if (outcome.fault.fault === 'LEASE_LOST') this.#listener.leaseLost(outcome.fault);
      return;
    }
    try {
      this.#check?.result(pending.method, outcome.result);
    } catch (error) {
      pending.reject(error as Error);
      this.#listener.violation(error as Error);
      return;
    }
    pending.resolve(outcome.result);
  }

  #notice(name: string, params: unknown): void {
    try {
      this.#check?.notice(name, params);
    } catch (error) {
      this.#listener.violation(error as Error);
      return;
    }
    this.#listener.notice(name as NotificationName, params);
  }

  /** The message that was too large for the gateway is the largest; sent again it would end the next connection too. */
  #rejectLargest(): void {
    let largest: Pending | null = null;
    for (const pending of this.#pending.values()) {
      if (pending.isSent && pending.text.length > (largest?.text.length ?? 0)) largest = pending;
    }
    if (largest === null) return;
    const megabytes = Math.ceil(largest.text.length / 1_000_000);
    const message = `${largest.method}: ${megabytes} MB are too much for one message. Use file.upload for what is large.`;
    largest.reject(new Fault('TOO_LARGE', message));
  }
}

/** Close code of RFC 6455: a message was too large. */
const CLOSE_TOO_LARGE = 1009;
const LOST = 'the connection was lost before the reply came';

const cancelledUnsent = (method: string): Fault =>
  new Fault('CANCELLED', `${method} was cancelled before it was sent.`);
