// One WebSocket to the gateway, by `ws` in Node and by the browser's own elsewhere. It knows text, not calls, and never opens a second one.
import { Fault } from '../protocol/fault.ts';
import { encodeBase64Url } from './base64.ts';
import { ConnectionError } from './connection-error.ts';
import { faultOfReply } from './refusal.ts';

const PROTOCOL = 'slotcast.v1';
/** A browser can't set headers on a WebSocket: the token goes beside the protocol. */
const BEARER_PROTOCOL = 'slotcast.bearer.';
/** What a handshake takes on a bad line; more means that nobody is there. */
const HANDSHAKE_MS = 15_000;
/** Output of 64 MiB on both streams as base64, and some more; V8's longest string is about this long. */
const MAX_PAYLOAD_BYTES = 512 * 1024 * 1024;
/** How long the other end has to answer a close. */
const CLOSE_MS = 2_000;
/** Of readyState. */
const OPEN = 1;
/** An error reply is a line of JSON. */
const MAX_REFUSAL_CHARS = 64 * 1024;

/** What the browser's WebSocket and `ws` have in common; each has events of its own type. */
export interface Socket {
  /** 1 while it is open. */
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  pause?(): void;
  resume?(): void;
  terminate?(): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

export interface TransportOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly WebSocket: SocketConstructor | undefined;
  /** Gives up while it is being opened. */
  readonly signal: AbortSignal;
}

export interface Close {
  /** WebSocket close code; 1006 when the line just broke. */
  readonly code: number;
  readonly reason: string;
}

export interface TransportListener {
  message(text: string): void;
  /** Called for anything that came, pings included. */
  heard(): void;
  /** Called once. */
  closed(close: Close): void;
}

/** Opens a WebSocket. Rejects with the Fault that the gateway refuses by, or with a ConnectionError. */
export async function openTransport(options: TransportOptions, listener: TransportListener): Promise<Transport> {
  if (options.WebSocket === undefined && isNode()) return await openInNode(options, listener);
  const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
  if (WebSocket === undefined) throw new TypeError('There is no WebSocket here: give one as the option WebSocket.');
  if (Object.keys(options.headers).length > 0) throw new TypeError('Only in Node can headers be set on a WebSocket.');
  const { url, token, signal } = options;
  const protocols = token === undefined ? [PROTOCOL] : [PROTOCOL, `${BEARER_PROTOCOL}${encodeBase64Url(token)}`];
  return await opened(new WebSocket(url, protocols), { url, listener, signal });
}

async function openInNode(options: TransportOptions, listener: TransportListener): Promise<Transport> {
  const { WebSocket } = await import('ws');
  const { url, token, signal } = options;
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(url, [PROTOCOL], {
    headers: { ...options.headers, ...authorization },
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    handshakeTimeout: HANDSHAKE_MS,
  });
  socket.on('ping', () => listener.heard());
  // ws never closes a socket whose upgrade was refused, so its listeners have to go with this.
  const trying = new AbortController();
  const refused = new Promise<never>((_resolve, reject) => {
    socket.on('unexpected-response', (request, response) => {
      let body = '';
      const refuse = (): void => {
        request.destroy();
        reject(faultOfReply(response.statusCode ?? 0, body));
      };
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        body = (body + part).slice(0, MAX_REFUSAL_CHARS);
      });
      response.once('end', refuse).once('error', refuse);
    });
  });
  const either = AbortSignal.any([signal, trying.signal]);
  try {
    return await Promise.race([opened(socket, { url, listener, signal: either }), refused]);
  } catch (error) {
    trying.abort();
    throw error;
  }
}

interface Opening {
  readonly url: string;
  readonly listener: TransportListener;
  readonly signal: AbortSignal;
}

function opened(socket: Socket, { url, listener, signal }: Opening): Promise<Transport> {
  return new Promise((resolve, reject) => {
    let why = '';
    const abort = (): void => cut(socket);
    signal.addEventListener('abort', abort, { once: true });
    socket.onerror = (event: { message?: string; error?: { code?: string } }) => {
      why = event.error?.code ?? event.message ?? '';
    };
    socket.onclose = ({ code }: Close) => {
      signal.removeEventListener('abort', abort);
      reject(new ConnectionError(unreachable(url, why), code));
    };
    socket.onopen = () => {
      signal.removeEventListener('abort', abort);
      resolve(new Transport(socket, listener));
    };
  });
}

function unreachable(url: string, why: string): string {
  const where = url.replace(/^ws/, 'http').replace(/ws$/, '');
  return `No gateway can be reached at ${where}${why === '' ? '' : ` (${why})`}. Is it running, and is the URL right?`;
}

export class Transport {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #isClosed = false;

  constructor(socket: Socket, listener: TransportListener) {
    this.#socket = socket;
    socket.onmessage = ({ data }: { data: unknown }) => {
      listener.heard();
      if (typeof data === 'string') listener.message(data);
    };
    this.#closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }: Close) => {
        this.#isClosed = true;
        resolve();
        listener.closed({ code, reason });
      };
    });
    // What went wrong comes as the close that follows.
    socket.onerror = () => {};
  }

  send(text: string): void {
    // On one that is closing, which is told of later, a browser would only complain.
    if (!this.#isClosed && this.#socket.readyState === OPEN) this.#socket.send(text);
  }

  /** Stops reading, so that the gateway waits; a browser can't. */
  pause(): void {
    this.#socket.pause?.();
  }

  resume(): void {
    this.#socket.resume?.();
  }

  /** Says goodbye and resolves when the socket is gone; idempotent. */
  async close(code = 1000, reason = ''): Promise<void> {
    if (this.#isClosed) return;
    this.resume();
    this.#socket.close(code, reason);
    const timer = setTimeout(() => this.drop(), CLOSE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  /** Cuts the line without a goodbye; the close comes at once in Node, and by and by in a browser. */
  drop(): void {
    cut(this.#socket);
  }
}

function cut(socket: Socket): void {
  if (socket.terminate === undefined) socket.close();
  else socket.terminate();
}

const isNode = (): boolean => typeof process !== 'undefined' && typeof process.versions?.node === 'string';

/** Whether another try can't help: the credential is not accepted. */
export const isRefusal = (error: unknown): error is Fault =>
  error instanceof Fault && (error.fault === 'UNAUTHENTICATED' || error.fault === 'FORBIDDEN');
