// A real HTTP server with the real gate and endpoint over a small table of handlers, and a client that keeps what it hears.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import WebSocket, { type ClientOptions } from 'ws';
import type { MethodName } from '../../../protocol/contract.ts';
import { Gate } from '../../../server/auth/gate.ts';
import { Tokens } from '../../../server/auth/token.ts';
import type { Handlers, Peer } from '../../../server/methods/context.ts';
import { type CallRecord, Dispatcher } from '../../../server/rpc/dispatcher.ts';
import { Endpoint, type EndpointOptions } from '../../../server/rpc/endpoint.ts';
import type { OutboxOptions } from '../../../server/rpc/outbox.ts';
import { rpcRoute } from '../../../server/rpc/rpc-route.ts';

export interface GatewayOptions {
  readonly handlers?: Partial<Handlers>;
  readonly bind?: (peer: Peer, slot: string) => Promise<void>;
  readonly outbox?: OutboxOptions;
  readonly endpoint?: Partial<Pick<EndpointOptions, 'pingMs' | 'maxSockets' | 'reservedForAgents'>>;
  readonly draining?: () => boolean;
}

export interface Gateway {
  readonly port: number;
  readonly tokens: Tokens;
  readonly endpoint: Endpoint;
  readonly admin: string;
  readonly records: CallRecord[];
  /** Everything that was logged. */
  readonly logged: string[];
  connect(options?: ConnectOptions): Promise<Client>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly host?: string;
  readonly path?: string;
  readonly token?: string | null;
  readonly protocols?: string[];
  readonly headers?: Record<string, string>;
  readonly ws?: ClientOptions;
}

/** The reply to a handshake that was refused. */
export class Refused extends Error {
  readonly status: number;
  readonly body: { error: { message: string; data: { name: string } } };

  constructor(status: number, body: string) {
    super(`${status} ${body}`);
    this.status = status;
    this.body = JSON.parse(body);
  }
}

export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slotcast-rpc-'));
  const tokens = await Tokens.open({ dataDir });
  const gate = new Gate({ tokens, origins: { allowed: ['allowed.example'] } });
  const logged: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  const records: CallRecord[] = [];
  const dispatcher = new Dispatcher({
    handlers: (options.handlers ?? {}) as Handlers,
    log,
    draining: options.draining ?? (() => false),
    observe: (record) => records.push(record),
  });
  const { bind = async () => {}, outbox = {} } = options;
  const routes = [rpcRoute({ dispatcher, log, bind, outbox })];
  const endpoint = new Endpoint({ gate, log, routes, ...options.endpoint });
  const server = createServer((_request, reply) => reply.writeHead(404).end());
  server.on('upgrade', endpoint.upgrade);
  const port = await listen(server);
  const { token: admin } = await tokens.mint({ role: 'admin', slot: null, ttlMs: null });
  return {
    port,
    tokens,
    endpoint,
    admin,
    records,
    logged,
    connect: ({ token = admin, ...rest } = {}) => Client.open(port, { token, ...rest }),
    close: async () => {
      await endpoint.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

interface Reply {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: { code: number; message: string; data: Record<string, unknown> };
}

/** A plain WebSocket client; nothing of slotcast's own. */
export class Client {
  readonly socket: WebSocket;
  /** Text frames in the order that they came, parsed. */
  readonly heard: unknown[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #nextId = 1000;
  #waiting: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      this.heard.push(JSON.parse(data.toString()));
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static open(
    port: number,
    { host = '127.0.0.1', path = '/ws', token, protocols = ['slotcast.v1'], headers, ws }: ConnectOptions,
  ): Promise<Client> {
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`ws://${host}:${port}${path}`, protocols, {
      ...ws,
      headers: { ...authorization, ...headers },
    });
    const client = new Client(socket);
    return new Promise((resolve, reject) => {
      socket.on('open', () => resolve(client));
      socket.on('error', reject);
      socket.on('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => reject(new Refused(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
      });
    });
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message that fits, from those that came already too. */
  async hear<T>(fits: (message: unknown) => boolean): Promise<T> {
    for (;;) {
      const found = this.heard.find(fits);
      if (found !== undefined) return found as T;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  reply(id: unknown): Promise<Reply> {
    return this.hear((message) => (message as Reply).id === id);
  }

  async call(method: MethodName | (string & {}), params?: unknown): Promise<Reply> {
    const id = this.#nextId++;
    this.send({ jsonrpc: '2.0', id, method, params });
    return await this.reply(id);
  }

  close(): void {
    this.socket.terminate();
  }
}

/** A promise and the hand that settles it. */
export function gate<T = void>(): { readonly promise: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Polls until it holds; for what tells nobody. */
export async function until(holds: () => boolean, deadlineMs = 5000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error('it did not come to hold in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
