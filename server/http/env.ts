// What every HTTP handler finds beside its request, and how it asks who is there.
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { Fault } from '../../protocol/fault.ts';
import type { Role } from '../../protocol/method.ts';
import { type Gate, requireRole } from '../auth/gate.ts';
import { requireSlot } from '../auth/scope.ts';
import type { Admission } from '../auth/token.ts';
import { readBody } from './body.ts';

/** A JSON body of ours is a ticket or a token's order. It arrives at once, and a ticket comes from who has shown no credential yet. */
const JSON_BODY = { maxBytes: 64 * 1024, withinMs: 10_000 } as const;

export interface HttpEnv {
  Bindings: HttpBindings;
  Variables: { admission: Admission };
}

export type HttpContext = Context<HttpEnv>;

/** Lets in who has at least this role; the handler finds the admission in the context. */
export function needs(gate: Gate, role: Role): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const admission = await gate.admit(c.env.incoming);
    requireRole(admission.role, role, `${c.req.method} here`);
    c.set('admission', admission);
    await next();
  };
}

/** The slot that the path names, if the credential allows it. */
export function slotOf(c: HttpContext): string {
  const slot = c.req.param('slot') ?? '';
  requireSlot(c.get('admission'), slot);
  return slot;
}

/** The JSON body; TOO_LARGE when it is more than one of ours, however it is sent. A form of a foreign page can't send this content type. */
export async function jsonBody(c: HttpContext): Promise<unknown> {
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) {
    throw new Fault('INVALID_REQUEST', 'Send a JSON body with Content-Type: application/json.');
  }
  const text = await readBody(c.env, JSON_BODY);
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault('PARSE_ERROR', 'The body is not JSON.');
  }
}
