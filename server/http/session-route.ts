// Sign-in for browsers, which can't set headers on everything: a one-time ticket or a token becomes a cookie that no script can read.
import { Hono } from 'hono';
import { deleteCookie, setCookie } from 'hono/cookie';
import { z } from 'zod';
import { Fault } from '../../protocol/fault.ts';
import { COOKIE, findCredential } from '../auth/credential.ts';
import type { Gate } from '../auth/gate.ts';
import type { Tickets } from '../auth/ticket.ts';
import type { Admission, Tokens } from '../auth/token.ts';
import { type HttpContext, type HttpEnv, jsonBody, needs } from './env.ts';

/** A working day: long enough not to sign in twice, short enough for a forgotten browser. */
const SESSION_MS = 12 * 3_600_000;

const ticketBody = z.strictObject({ ticket: z.string().max(200) });

export interface SessionOptions {
  readonly gate: Gate;
  /** null where everybody is let in: then there is nothing to sign in for. */
  readonly tokens: Tokens | null;
  readonly tickets: Tickets;
}

export function sessionRoutes({ gate, tokens, tickets }: SessionOptions): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();

  /** Who this browser is. */
  app.get('/session', needs(gate, 'viewer'), (c) => c.json(describe(c.get('admission'))));

  /** A ticket in the body, or a token in the header, becomes a cookie. */
  app.post('/session', async (c) => {
    const signsInByHeader = findCredential(c.env.incoming)?.by === 'header';
    const admission = signsInByHeader || tokens === null ? await gate.admit(c.env.incoming) : await redeem(c, tickets);
    if (tokens !== null) await giveCookie(c, tokens, admission);
    return c.json(describe(admission));
  });

  app.delete('/session', async (c) => {
    const credential = findCredential(c.env.incoming);
    if (tokens !== null && credential?.by === 'cookie') {
      const admission = await gate.admit(c.env.incoming);
      // Only a session made here ends: the cookie may hold somebody's token.
      if (admission.from !== null) await tokens.revoke(admission.id, admission.expiresAtMs);
    }
    deleteCookie(c, COOKIE, { path: '/' });
    return c.json({});
  });

  /** For a program that opens a browser: what it may do itself, for one sign-in. */
  app.post('/session/tickets', needs(gate, 'viewer'), (c) => c.json({ ticket: tickets.mint(c.get('admission')) }));

  return app;
}

async function redeem(c: HttpContext, tickets: Tickets): Promise<Admission> {
  const body = ticketBody.safeParse(await jsonBody(c));
  if (!body.success) throw new Fault('INVALID_PARAMS', 'Send {"ticket": "…"}, or a token as Authorization: Bearer.');
  const admission = tickets.take(body.data.ticket);
  if (admission === null)
    throw new Fault('UNAUTHENTICATED', 'The ticket was used before, or is too old. Get a new one.');
  return admission;
}

async function giveCookie(c: HttpContext, tokens: Tokens, admission: Admission): Promise<void> {
  const { role, slot, cast } = admission;
  const ttlMs = Math.min(SESSION_MS, tokens.leftMs(admission));
  const { token } = await tokens.mint({ role, slot, cast, ttlMs, from: admission.from ?? admission.id });
  const secure = c.req.header('origin')?.startsWith('https:') ?? false;
  const maxAge = Math.max(0, Math.floor(ttlMs / 1000));
  setCookie(c, COOKIE, token, { path: '/', httpOnly: true, sameSite: 'Strict', secure, maxAge });
}

const describe = ({ role, slot, cast, expiresAtMs }: Admission) => ({ role, slot, cast, expiresAt: expiresAtMs });
