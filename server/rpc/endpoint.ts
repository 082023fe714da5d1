// Where every WebSocket comes in: lets a request through or refuses it before the upgrade, counts, pings and ends what is open.
// It knows nothing of what is spoken on them.
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodeErrorBody } from '../../protocol/envelope.ts';
import { Fault } from '../../protocol/fault.ts';
import { offeredProtocols } from '../auth/credential.ts';
import type { Gate } from '../auth/gate.ts';
import type { Admission } from '../auth/token.ts';
import { closeReason } from './connection.ts';

/** Also finds connections whose other end has vanished without a word. */
const PING_MS = 15_000;
const MAX_UNANSWERED = 2;
/** Sockets at once: some 50 kB each when idle. */
const MAX_SOCKETS = 6144;
/** Of these, so many are kept for who drives slots: a crowd of viewers must not lock agents out. */
const RESERVED_FOR_AGENTS = 256;
/** How long an open connection may take to say goodbye. */
const CLOSE_MS = 2_000;

/** Who comes, and for what. */
export interface Visit {
  readonly admission: Admission;
  readonly url: URL;
}

/** What is spoken on one path. */
export interface SocketRoute {
  serves(pathname: string): boolean;
  /** In the order that the server prefers. */
  readonly protocols: readonly string[];
  /** What is taken for granted when the client names no protocol. */
  readonly defaultProtocol: string;
  readonly maxPayloadBytes: number;
  /** Close code when the gateway goes down. */
  readonly shutdownCode: number;
  /** Refuses the visit by a Fault while it can still be an HTTP reply. */
  check(visit: Visit): void;
  /** `wire` is what the socket writes to. */
  open(socket: WebSocket, visit: Visit, protocol: string, wire: Duplex): void;
}

export interface EndpointOptions {
  readonly gate: Gate;
  readonly routes: readonly SocketRoute[];
  readonly log: Logger;
  /** Then nobody new is let in; who is here stays. */
  readonly draining?: () => boolean;
  readonly pingMs?: number;
  readonly maxSockets?: number;
  readonly reservedForAgents?: number;
}

interface Open {
  readonly route: SocketRoute;
  unanswered: number;
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #servers: ReadonlyMap<SocketRoute, WebSocketServer>;
  readonly #open = new Map<WebSocket, Open>();
  readonly #ping: NodeJS.Timeout;
  #closed = false;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#servers = new Map(options.routes.map((route) => [route, serverFor(route)]));
    this.#ping = setInterval(() => this.#pingAll(), options.pingMs ?? PING_MS);
    this.#ping.unref();
  }

  /** Connections that are open now. */
  get size(): number {
    return this.#open.size;
  }

  /** For the `upgrade` event of an HTTP server. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    this.#admit(request, head)
      .then(({ route, visit }) => {
        if (!socket.destroyed) this.#accept({ request, socket, head }, route, visit);
      })
      .catch((error: unknown) => this.#refuse(socket, error));
  };

  /** Says goodbye to everybody and takes nobody any more; resolves when all are gone. */
  async close(reason = 'the gateway is shutting down'): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ping);
    const sockets = [...this.#open];
    await Promise.all(sockets.map(([socket, { route }]) => farewell(socket, route.shutdownCode, reason)));
  }

  async #admit(request: IncomingMessage, head: Buffer): Promise<{ route: SocketRoute; visit: Visit }> {
    const { gate, routes, draining } = this.#options;
    gate.checkOrigin(request);
    refuseSmuggling(request, head);
    const url = addressOf(request);
    const route = url === null ? undefined : routes.find((candidate) => candidate.serves(url.pathname));
    if (url === null || route === undefined) throw new Fault('METHOD_NOT_FOUND', 'There is no WebSocket at this path.');
    const admission = await gate.admit(request);
    if (this.#closed || draining?.()) throw new Fault('SHUTTING_DOWN');
    const visit = { admission, url };
    route.check(visit);
    const offered = offeredProtocols(request.headers);
    const offers = request.headers['sec-websocket-protocol'] !== undefined;
    if (offers && !route.protocols.some((name) => offered.includes(name))) {
      throw new Fault('INVALID_REQUEST', `Offer one of these subprotocols: ${route.protocols.join(', ')}.`);
    }
    this.#requireRoom(admission);
    return { route, visit };
  }

  #requireRoom({ role }: Admission): void {
    const { maxSockets = MAX_SOCKETS, reservedForAgents = RESERVED_FOR_AGENTS } = this.#options;
    const room = role === 'viewer' ? maxSockets - reservedForAgents : maxSockets;
    if (this.#open.size < room) return;
    throw new Fault('RATE_LIMITED', `The gateway has ${this.#open.size} connections open. Close some, or come later.`);
  }

  #accept(raw: { request: IncomingMessage; socket: Duplex; head: Buffer }, route: SocketRoute, visit: Visit): void {
    this.#servers.get(route)?.handleUpgrade(raw.request, raw.socket, raw.head, (socket) => {
      this.#open.set(socket, { route, unanswered: 0 });
      const end = this.#options.gate.onEnd(visit.admission, (reason) => void farewell(socket, 4401, reason));
      socket.on('close', () => {
        end.close();
        this.#open.delete(socket);
      });
      socket.on('pong', () => this.#heard(socket));
      socket.on('message', () => this.#heard(socket));
      // What is wrong with a frame closes the connection; ws has sent the code by now.
      socket.on('error', (error) => this.#options.log.debug({ err: error }, 'socket error'));
      route.open(socket, visit, socket.protocol || route.defaultProtocol, raw.socket);
    });
  }

  #heard(socket: WebSocket): void {
    const open = this.#open.get(socket);
    if (open !== undefined) open.unanswered = 0;
  }

  #pingAll(): void {
    for (const [socket, open] of this.#open) {
      // What is paused is not heard: whoever paused it watches it.
      if (socket.isPaused) continue;
      if (open.unanswered >= MAX_UNANSWERED) socket.terminate();
      else {
        open.unanswered++;
        socket.ping();
      }
    }
  }

  #refuse(socket: Duplex, error: unknown): void {
    if (!(error instanceof Fault)) this.#options.log.error({ err: error }, 'upgrade failed');
    const fault = error instanceof Fault ? error : new Fault('INTERNAL', 'A defect in the gateway.');
    socket.end(refusal(fault), () => socket.destroy());
  }
}

function serverFor(route: SocketRoute): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: route.maxPayloadBytes,
    // 1 MB of it may become 1 GB here; and it costs more time than it saves on fast lines.
    perMessageDeflate: false,
    handleProtocols: (offered) => route.protocols.find((name) => offered.has(name)) ?? false,
  });
}

/** null for what is none: `//` begins one of another host. */
function addressOf({ url = '/' }: IncomingMessage): URL | null {
  try {
    return new URL(url, 'http://gateway');
  } catch {
    return null;
  }
}

/** A handshake has no body, and a client waits for the reply to it. */
function refuseSmuggling({ headers }: IncomingMessage, head: Buffer): void {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  if (hasBody || head.length > 0) throw new Fault('INVALID_REQUEST', 'Nothing follows a handshake before its reply.');
}

/** A fault as a whole HTTP reply. */
function refusal(fault: Fault): string {
  const { http, detail } = fault;
  const body = encodeErrorBody(fault);
  const headers = [
    `HTTP/1.1 ${http} ${STATUS_CODES[http] ?? 'Refused'}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
  ];
  if (http === 401) headers.push('WWW-Authenticate: Bearer');
  if (typeof detail['afterMs'] === 'number') headers.push(`Retry-After: ${Math.ceil(detail['afterMs'] / 1000)}`);
  return `${headers.join('\r\n')}\r\n\r\n${body}`;
}

/** Closes with a code; who does not answer is cut off. */
function farewell(socket: WebSocket, code: number, reason: string): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.close(code, closeReason(reason));
  });
}
