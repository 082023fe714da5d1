// One WebSocket that speaks JSON-RPC: reads calls, runs them side by side, answers each once. It knows no method's meaning.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { RawData, WebSocket } from 'ws';
import type { Notice, NotificationName } from '../../protocol/contract.ts';
import {
  type ClientNotification,
  encodeBatch,
  encodeError,
  encodeNotification,
  encodeResult,
  type Id,
  type Incoming,
  parseEnvelope,
} from '../../protocol/envelope.ts';
import { Fault } from '../../protocol/fault.ts';
import { Bucket } from '../auth/bucket.ts';
import type { Context, Grant, Peer } from '../methods/context.ts';
import { type Dispatcher, waits } from './dispatcher.ts';
import { Intake } from './intake.ts';
import { Outbox, type OutboxOptions } from './outbox.ts';

/** Calls at once on one connection: more than an agent has use for, few enough to hold their replies. */
const MAX_IN_FLIGHT = 1024;
/** Bytes of messages whose calls still run: two of the largest. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Characters of all replies of a batch: a string has at most 512 Mi, and all of them are held until the last is there. */
const MAX_BATCH_CHARS = 64 * 1024 * 1024;
/** How long a peer that was told to go may take. */
const GOODBYE_MS = 2_000;
/** Messages: more than a terminal that is typed into by a program; who sends more is read more slowly. */
const MESSAGES = { size: 20_000, perSecond: 20_000 } as const;

export interface ConnectionOptions {
  readonly socket: WebSocket;
  readonly grant: Grant;
  readonly dispatcher: Dispatcher;
  readonly log: Logger;
  readonly outbox?: OutboxOptions;
}

interface Flight {
  readonly method: string;
  readonly abort: AbortController;
}

export class Connection implements Peer {
  readonly id = `conn_${randomBytes(6).toString('base64url')}`;
  readonly grant: Grant;
  lease: Peer['lease'] = null;
  readonly #socket: WebSocket;
  readonly #dispatcher: Dispatcher;
  readonly #log: Logger;
  readonly #intake: Intake;
  readonly #outbox: Outbox;
  readonly #messages = new Bucket(MESSAGES, performance.now());
  readonly #flights = new Set<Flight>();
  readonly #flightOf = new Map<Id, Flight>();
  readonly #closing: (() => void)[] = [];
  #turn: Promise<void> | null = null;
  #closed = false;
  #replies: Promise<void> = Promise.resolve();
  #waitingReplies = 0;
  #large: Promise<void> = Promise.resolve();
  /** Bytes of the calls that have no reply yet. */
  #heldBytes = 0;

  constructor({ socket, grant, dispatcher, log, outbox }: ConnectionOptions) {
    this.grant = grant;
    this.#socket = socket;
    this.#dispatcher = dispatcher;
    this.#log = log;
    this.#intake = new Intake(socket);
    this.#outbox = new Outbox(socket, outbox, this.#intake);
    socket.on('message', (data, isBinary) => this.#read(data, isBinary));
    socket.once('close', (code) => this.#end(code));
  }

  async notify<N extends NotificationName>(name: N, params: Notice<N>): Promise<void> {
    this.#outbox.send(encodeNotification(name, params));
    await this.#outbox.ready();
  }

  send(encoded: Uint8Array): boolean {
    this.#outbox.send(encoded);
    return this.#outbox.hasRoom;
  }

  ready(): Promise<void> {
    return this.#outbox.ready();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, closeReason(reason));
    const timer = setTimeout(() => this.#socket.terminate(), GOODBYE_MS);
    this.onClose(() => clearTimeout(timer));
  }

  get closed(): boolean {
    return this.#closed;
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#closing.push(listener);
  }

  #read(data: RawData, isBinary: boolean): void {
    // Who was told to go is not listened to any more, whether he says goodbye or not.
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (isBinary) {
      this.close(1008, 'calls are text frames');
      return;
    }
    this.#slowDown();
    const envelope = parseEnvelope(data.toString());
    const answered = envelope.kind === 'batch' ? this.#answerAll(envelope.messages) : this.#answerOne(envelope.message);
    this.#hold(Buffer.isBuffer(data) ? data.length : 0, answered);
  }

  /** A peer whose calls hold too much is not read until some of them have ended. */
  #hold(bytes: number, answered: Promise<void>): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#intake.rest('calls');
    answered
      .catch((error: unknown) => {
        this.#log.error({ connection: this.id, err: error }, 'a reply could not be sent');
        this.close(1011, 'a reply could not be sent');
      })
      .finally(() => {
        this.#heldBytes -= bytes;
        if (this.#heldBytes <= MAX_HELD_BYTES) this.#intake.goOn('calls');
      });
  }

  async #answerOne(message: Incoming): Promise<void> {
    const reply = await this.#answer(message);
    if (reply !== null) this.#outbox.send(reply);
  }

  /** Who sends too fast is not read for a moment; nothing is refused or lost. */
  #slowDown(): void {
    const nowMs = performance.now();
    if (this.#messages.take(nowMs) || this.#intake.has('rate')) return;
    this.#intake.rest('rate');
    // A tenth of a second's worth, so that the pause costs no timer for each message.
    setTimeout(() => this.#intake.goOn('rate'), 100);
  }

  async #answerAll(messages: readonly Incoming[]): Promise<void> {
    let chars = 0;
    const bounded = async (message: Incoming): Promise<string | null> => {
      const reply = await this.#answer(message);
      chars += reply?.length ?? 0;
      if (reply === null || chars <= MAX_BATCH_CHARS || message.kind !== 'request') return reply;
      return encodeError(
        message.id,
        new Fault('TOO_LARGE', 'The replies of this batch are too large for one message.'),
      );
    };
    const replies = await Promise.all(messages.map(bounded));
    const sent = replies.filter((reply) => reply !== null);
    if (sent.length > 0) this.#outbox.send(encodeBatch(sent));
  }

  /** The encoded reply; null for a notification. */
  async #answer(message: Incoming): Promise<string | null> {
    if (message.kind === 'invalid') return encodeError(message.id, message.fault);
    if (message.kind === 'notification') {
      await this.#takeNotice(message);
      return null;
    }
    try {
      return encodeResult(message.id, await this.#fly(message.method, message.params, message.id));
    } catch (error) {
      return encodeError(message.id, error instanceof Fault ? error : tooLarge());
    }
  }

  async #takeNotice({ method, params }: ClientNotification): Promise<void> {
    if (method === '$/cancelRequest') {
      if (this.#turn !== null) await this.#turn;
      this.#cancel(params);
      return;
    }
    try {
      await this.#fly(method, params, null);
    } catch {
      // JSON-RPC: a notification has no reply, also when it failed.
    }
  }

  async #fly(method: string, params: unknown, id: Id | null): Promise<unknown> {
    // Many small messages come in one piece: those that are done by the next turn are not held against it.
    if (this.#turn !== null || this.#flights.size >= MAX_IN_FLIGHT) await this.#nextTurn();
    if (this.#flights.size >= MAX_IN_FLIGHT) {
      throw new Fault('RATE_LIMITED', `${MAX_IN_FLIGHT} calls are running on this connection. Wait for one to end.`);
    }
    if (id !== null && this.#flightOf.has(id)) {
      throw new Fault('INVALID_REQUEST', 'A call with this id is still running. Give every call its own id.');
    }
    const flight: Flight = { method, abort: new AbortController() };
    this.#flights.add(flight);
    if (id !== null) this.#flightOf.set(id, flight);
    const context: Context = { peer: this, signal: flight.abort.signal, room: () => this.#roomForLarge() };
    try {
      const result = await this.#dispatcher.dispatch(method, params, context);
      if (id !== null && !this.#outbox.hasRoom) await this.#room();
      return result;
    } finally {
      this.#flights.delete(flight);
      if (id !== null) this.#flightOf.delete(id);
    }
  }

  /** Replies to a peer that does not take them are made one after the other, and none of its calls is read meanwhile. */
  async #room(): Promise<void> {
    this.#intake.rest('replies');
    this.#waitingReplies++;
    const turn = this.#replies.then(() => this.#outbox.ready());
    this.#replies = turn;
    await turn;
    if (--this.#waitingReplies === 0) this.#intake.goOn('replies');
  }

  /** One for each turn of the event loop: by then the reply before has been sent, and counts. */
  #roomForLarge(): Promise<void> {
    this.#large = this.#large.then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await this.#outbox.ready();
    });
    return this.#large;
  }

  /** Who waits for it goes on in the order of coming, and nobody who comes meanwhile overtakes. */
  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = null;
        resolve();
      });
    });
    return this.#turn;
  }

  #cancel(params: unknown): void {
    const id = (params as { id?: unknown } | undefined)?.id;
    if (typeof id === 'string' || typeof id === 'number') this.#flightOf.get(id)?.abort.abort();
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#log.debug({ connection: this.id, grant: this.grant.id, code }, 'connection closed');
    for (const { method, abort } of this.#flights) if (waits.has(method)) abort.abort();
    for (const listener of this.#closing) listener();
    this.#closing.length = 0;
  }
}

/** JSON.stringify fails on a valid result only when its text exceeds the longest string. */
const tooLarge = (): Fault => new Fault('TOO_LARGE', 'The reply is too large for one message. Ask for less.');

/** A close frame has room for 123 bytes. */
export const closeReason = (reason: string): string =>
  Buffer.from(reason).subarray(0, 120).toString().replace(/�$/, '');
