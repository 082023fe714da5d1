// All HTTP routes in one app, behind the same checks: Host and Origin first, then each route's own credential and role. It opens no port.
import { Hono } from 'hono';
import type { Logger } from 'pino';
import { Fault } from '../../protocol/fault.ts';
import { findCredential } from '../auth/credential.ts';
import type { Gate } from '../auth/gate.ts';
import type { HttpEnv } from './env.ts';
import { errorReply, toFault } from './error-reply.ts';
import { securityHeaders } from './security-header.ts';

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
  for (const route of routes) app.route('/', route);
  app.notFound(() => errorReply(new Fault('METHOD_NOT_FOUND', 'There is nothing at this address.')));
  app.onError((error, c) => errorReply(toFault(error, log, c.req.routePath)));
  return app;
}
