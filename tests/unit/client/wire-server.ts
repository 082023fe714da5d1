// A gateway's end of the wire for tests of the client: a real WebSocket and HTTP server whose replies the test decides.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Client, type ConnectOptions, connect } from '../../../client/index.ts';
import type { MethodName, Notice, NotificationName, Params } from '../../../protocol/contract.ts';
import {
  encodeBatch,
  encodeError,
  encodeNotification,
  encodeResult,
  type Incoming,
  parseEnvelope,
} from '../../../protocol/envelope.ts';
import { Fault } from '../../../protocol/fault.ts';
import type { Acquired } from '../../../protocol/slot.ts';

export interface SeenCall {
  readonly id: string | number;
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly peer: Peer;
}

type Answer = (call: SeenCall) => unknown;

export class Peer {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.socket = socket;
    this.request = request;
  }

  notify<N extends NotificationName>(name: N, params: Notice<N>): void {
    this.socket.send(encodeNotification(name, params));
  }
}

/** A reply that never comes. */
export const SILENCE: Promise<never> = new Promise(() => {});

export const ACQUIRED: Acquired = {
  slot: 'slot_0',
  lease: 'lease_1',
  resume: 'secret',
  cast: 'cast_1',
  workspace: '/workspace',
  resumed: false,
  sandboxed: true,
  network: 'none',
  graceMs: 60_000,
};

export class WireServer {
  readonly calls: SeenCall[] = [];
  readonly notices: { readonly method: string; readonly params: unknown }[] = [];
  /** How many messages each frame held. */
  readonly frames: number[] = [];
  readonly peers: Peer[] = [];
  /** Status that refuses the upgrade; null lets it through. */
  refusal: { readonly status: number; readonly body: string } | null = null;
  onRequest: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end();
  readonly #answers = new Map<string, Answer>([
    ['slot.acquire', ({ params }) => ({ ...ACQUIRED, resumed: params['resume'] !== undefined })],
  ]);
  readonly #clients: Client[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #http: Server;
  readonly #sockets: WebSocketServer;

  private constructor() {
    this.#http = createServer((request, response) => this.onRequest(request, response));
    this.#sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: () => 'slotcast.v1',
      maxPayload: 1_000_000,
    });
    this.#http.on('upgrade', (request, socket, head) => {
      if (this.refusal !== null) {
        const { status, body } = this.refusal;
        socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(new Peer(webSocket, request)));
    });
  }

  static async open(): Promise<WireServer> {
    const server = new WireServer();
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The newest connection. */
  get peer(): Peer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error('nobody has connected');
    return peer;
  }

  /** A client that comes back as soon as it may, closed with the server. */
  async client(options: Partial<ConnectOptions> = {}): Promise<Client> {
    const client = await connect({ url: this.url, token: 'token-of-the-test', random: () => 0, ...options });
    this.#clients.push(client);
    return client;
  }

  /** The result, or a Fault to reject with, for each call of this method. */
  answer<M extends MethodName>(method: M, answer: (params: Params<M>, call: SeenCall) => unknown): void {
    this.#answers.set(method, (call) => answer(call.params as Params<M>, call));
  }

  seen(method: MethodName): SeenCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  /** Resolves when it holds, looked at with each message and connection. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const { socket } of this.peers) socket.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #accept(peer: Peer): void {
    this.peers.push(peer);
    peer.socket.on('error', () => {});
    peer.socket.on('message', (data) => void this.#read(peer, String(data)));
    this.#wake();
  }

  async #read(peer: Peer, text: string): Promise<void> {
    const envelope = parseEnvelope(text);
    const messages = envelope.kind === 'batch' ? envelope.messages : [envelope.message];
    this.frames.push(messages.length);
    const replies = await Promise.all(messages.map((message) => this.#reply(peer, message)));
    const sent = replies.filter((reply) => reply !== null);
    if (sent.length > 0) peer.socket.send(envelope.kind === 'batch' ? encodeBatch(sent) : sent.join(''));
  }

  async #reply(peer: Peer, message: Incoming): Promise<string | null> {
    if (message.kind === 'invalid') return encodeError(message.id, message.fault);
    const { method } = message;
    const params = (message.params ?? {}) as Record<string, unknown>;
    if (message.kind === 'notification') {
      this.notices.push({ method, params });
      this.#wake();
      return null;
    }
    const call = { id: message.id, method, params, peer };
    this.calls.push(call);
    this.#wake();
    try {
      const answer = this.#answers.get(method);
      if (answer === undefined) throw new Fault('METHOD_NOT_FOUND');
      return encodeResult(message.id, await answer(call));
    } catch (error) {
      return encodeError(message.id, error instanceof Fault ? error : new Fault('INTERNAL', String(error)));
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
