// Tokens over HTTP, for admins: make one, take one back.
import { Hono } from 'hono';
import { z } from 'zod';
import { Fault } from '../../protocol/fault.ts';
import { roles } from '../../protocol/method.ts';
import { slotName } from '../../protocol/value.ts';
import type { Gate } from '../auth/gate.ts';
import type { Tokens } from '../auth/token.ts';
import { type HttpEnv, jsonBody, needs } from './env.ts';

/** Ten years; who wants one without end has the admin's. */
const MAX_TTL_MS = 10 * 365 * 86_400_000;

const order = z.strictObject({
  role: z.enum(roles),
  slot: slotName.optional(),
  ttlMs: z.int().min(1).max(MAX_TTL_MS),
});

export interface TokenRouteOptions {
  readonly gate: Gate;
  readonly tokens: Tokens | null;
}

export function tokenRoutes({ gate, tokens }: TokenRouteOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const inUse = (): Tokens => {
    if (tokens === null)
      throw new Fault('INVALID_REQUEST', 'This gateway was started with --auth none: it has no tokens.');
    return tokens;
  };

  app.post('/tokens', needs(gate, 'admin'), async (c) => {
    const body = order.safeParse(await jsonBody(c));
    if (!body.success) throw new Fault('INVALID_PARAMS', 'Send {"role", "slot"?, "ttlMs"}: viewer, agent or admin.');
    const { role, slot = null, ttlMs } = body.data;
    refuseWider(c.get('admission').slot, slot);
    const { token, id, expiresAtMs } = await inUse().mint({ role, slot, ttlMs });
    return c.json({ token, id, expiresAt: expiresAtMs }, 201);
  });

  app.delete('/tokens/:id', needs(gate, 'admin'), async (c) => {
    refuseWider(c.get('admission').slot, null);
    await inUse().revoke(c.req.param('id').slice(0, 200));
    return c.json({});
  });

  return app;
}

/** An admin of one slot makes tokens for that slot, and takes none back. */
function refuseWider(own: string | null, asked: string | null): void {
  if (own !== null && own !== asked) throw new Fault('FORBIDDEN', `This credential is for ${own} only.`);
}
