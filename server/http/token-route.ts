// Tokens over HTTP, for admins: make one, take one back.
import { Hono } from 'hono';
import { z } from 'zod';
import { castId } from '../../protocol/cast.ts';
import { Fault } from '../../protocol/fault.ts';
import { roles } from '../../protocol/method.ts';
import { slotName } from '../../protocol/value.ts';
import type { Gate } from '../auth/gate.ts';
import { requireVisible } from '../auth/scope.ts';
import { type Admission, isFitting, type Tokens } from '../auth/token.ts';
import type { Library } from '../cast/library.ts';
import { type HttpEnv, jsonBody, needs } from './env.ts';

/** Ten years; who wants one without end has the admin's. */
const MAX_TTL_MS = 10 * 365 * 86_400_000;

const order = z
  .strictObject({
    role: z.enum(roles),
    slot: slotName.optional(),
    cast: castId.optional(),
    ttlMs: z.int().min(1).max(MAX_TTL_MS),
  })
  .refine(isFitting);
type Order = z.output<typeof order>;

const WANTED = 'Send {"role", "slot"?, "ttlMs"}: viewer, agent or admin; or {"role": "viewer", "cast", "ttlMs"}.';

export interface TokenRouteOptions {
  readonly gate: Gate;
  readonly tokens: Tokens | null;
  readonly library: Pick<Library, 'slotOf'>;
}

export function tokenRoutes({ gate, tokens, library }: TokenRouteOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const inUse = (): Tokens => {
    if (tokens === null)
      throw new Fault('INVALID_REQUEST', 'This gateway was started with --auth none: it has no tokens.');
    return tokens;
  };

  app.post('/tokens', needs(gate, 'admin'), async (c) => {
    const body = order.safeParse(await jsonBody(c));
    if (!body.success) throw new Fault('INVALID_PARAMS', WANTED);
    await refuseUnseen(c.get('admission'), body.data);
    const { role, slot = null, cast = null, ttlMs } = body.data;
    const { token, id, expiresAtMs } = await inUse().mint({ role, slot, cast, ttlMs });
    return c.json({ token, id, expiresAt: expiresAtMs }, 201);
  });

  app.delete('/tokens/:id', needs(gate, 'admin'), async (c) => {
    refuseWider(c.get('admission').slot, null);
    await inUse().revoke(c.req.param('id').slice(0, 200));
    return c.json({});
  });

  /** Nobody makes a token that sees more than the own one; CAST_NOT_FOUND for a recording that is not there or not to be seen. */
  async function refuseUnseen(own: Admission, { slot, cast }: Order): Promise<void> {
    if (cast === undefined) return refuseWider(own.slot, slot ?? null);
    await requireVisible(library, cast, own);
    await library.slotOf(cast);
  }

  return app;
}

/** An admin of one slot makes tokens for that slot, and takes none back. */
function refuseWider(own: string | null, asked: string | null): void {
  if (own !== null && own !== asked) throw new Fault('FORBIDDEN', `This credential is for ${own} only.`);
}
