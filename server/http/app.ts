// All HTTP routes in one app, behind the same checks: Host and Origin first, then each route's own credential and role. It opens no port.
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import { Fault } from '../../protocol/fault.ts';
import { findCredential } from '../auth/credential.ts';
import type { Gate } from '../auth/gate.ts';
import type { HttpEnv } from './env.ts';
import { errorReply, toFault } from './error-reply.ts';
import { securityHeaders } from './security-header.ts';

/** A JSON body of ours is a ticket or a token's order. */
const MAX_JSON_BYTES = 64 * 1024;
/** So little arrives at once, as headers do; a ticket comes from somebody who has shown no credential yet. */
const JSON_BODY_MS = 10_000;

export interface AppOptions {
  readonly gate: Gate;
  readonly log: Logger;
  /** Tried in this order; the page's comes last, since it answers what nobody else does. */
  readonly routes: readonly Hono<HttpEnv>[];
}

export function httpApp({ gate, log, routes }: AppOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(securityHeaders);
  app.use(async (c, next) => {
    gate.checkOrigin(c.env.incoming);
    // Also where no credential is needed: one in a URL is refused before it gets used to being there.
    findCredential(c.env.incoming);
    await next();
  });
  const limit = bodyLimit({
    maxSize: MAX_JSON_BYTES,
    onError: () => errorReply(new Fault('TOO_LARGE', `A JSON body has at most ${MAX_JSON_BYTES} bytes.`)),
  });
  app.on('POST', ['/session', '/session/*', '/tokens'], bodyInTime, limit);
  for (const route of routes) app.route('/', route);
  app.notFound(() => errorReply(new Fault('METHOD_NOT_FOUND', 'There is nothing at this address.')));
  app.onError((error, c) => errorReply(toFault(error, log, c.req.routePath)));
  return app;
}

/** Ends a request whose body does not come. */
const bodyInTime: MiddlewareHandler<HttpEnv> = async (c, next) => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      if (c.env.incoming.complete) return;
      // Else Node would go on reading what is left of it.
      c.env.outgoing.setHeader('connection', 'close');
      reject(new Fault('INVALID_REQUEST', `The body did not arrive within ${JSON_BODY_MS / 1000} s.`));
    }, JSON_BODY_MS);
  });
  try {
    await Promise.race([next(), late]);
  } finally {
    clearTimeout(timer);
  }
};
