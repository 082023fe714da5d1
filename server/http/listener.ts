// The HTTP server around the app: limits against clients that are slow on purpose. It routes nothing itself.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { Fault } from '../../protocol/fault.ts';
import { boundConnections } from './crowd.ts';
import type { HttpEnv } from './env.ts';
import { errorReply } from './error-reply.ts';
import { addSecurityHeaders } from './security-header.ts';

/** A header arrives at once from everybody who means it. */
const HEADERS_TIMEOUT_MS = 10_000;
/** The largest upload on a slow line. */
const REQUEST_TIMEOUT_MS = 3_600_000;
/** How exact the two are. */
const CHECK_MS = 1_000;
/** Longer than the idle time of common proxies would keep dead connections; shorter breaks their reuse. */
const KEEP_ALIVE_MS = 65_000;
/** TCP connections: beyond any fleet of agents and viewers, below the usual limit of descriptors. */
const MAX_CONNECTIONS = 8192;
const MAX_HEADER_BYTES = 16 * 1024;

export interface ListenerOptions {
  readonly app: Hono<HttpEnv>;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Whether something on this connection was let in by its credential. */
  readonly isKnown: (socket: Socket) => boolean;
  readonly headersTimeoutMs?: number;
}

export function httpServer({ app, upgrade, isKnown, headersTimeoutMs = HEADERS_TIMEOUT_MS }: ListenerOptions): Server {
  const listener = getRequestListener((request, env) => app.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: badRequest,
  });
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, reply) => void listener(request, reply),
  );
  boundConnections(server, { maxConnections: MAX_CONNECTIONS, isKnown });
  server.on('upgrade', upgrade);
  return server;
}

/** For what never became a request of the app: a Host or address that can't be parsed. */
function badRequest(): Response {
  const reply = errorReply(new Fault('INVALID_REQUEST', 'The request has no proper Host or address.'));
  addSecurityHeaders(reply.headers);
  return reply;
}
