// Who this browser is: a ticket or a shared token from the address's fragment, or a typed token, becomes a cookie that no script can read.
import { Fault } from '../../../client/index.ts';
import { faultOfReply } from '../../../client/refusal.ts';

export interface Session {
  readonly role: 'viewer' | 'agent' | 'admin';
  /** Only this one, when set. */
  readonly slot: string | null;
  /** Only this recording, when set. */
  readonly cast: string | null;
  /** ms since 1970. */
  readonly expiresAt: number | null;
}

export interface Secret {
  readonly kind: 'ticket' | 'share';
  readonly secret: string;
}

/** null when nobody is signed in. Throws Fault, or TypeError without a gateway. */
export async function currentSession(): Promise<Session | null> {
  const reply = await fetch('/session', { headers: { accept: 'application/json' } });
  return reply.status === 401 ? null : await sessionOf(reply);
}

export async function signInByTicket(ticket: string): Promise<Session> {
  const headers = { 'content-type': 'application/json' };
  return await sessionOf(await fetch('/session', { method: 'POST', headers, body: JSON.stringify({ ticket }) }));
}

export async function signInByToken(token: string): Promise<Session> {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Fault('UNAUTHENTICATED', 'That is no token: it has no spaces.');
  return await sessionOf(await fetch('/session', { method: 'POST', headers: { authorization: `Bearer ${token}` } }));
}

export async function signOut(): Promise<void> {
  await fetch('/session', { method: 'DELETE' });
}

/** A secret that came in the address; it is taken out of the address bar and the history at once. */
export function takeSecret(): Secret | null {
  const match = /(?:^#|&)(ticket|share)=([^&]+)/.exec(location.hash);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  const rest = location.hash.replace(match[0], '').replace(/^&/, '#');
  history.replaceState(null, '', `${location.pathname}${location.search}${rest === '#' ? '' : rest}`);
  return { kind: match[1] === 'ticket' ? 'ticket' : 'share', secret: match[2] };
}

async function sessionOf(reply: Response): Promise<Session> {
  if (!reply.ok) throw faultOfReply(reply.status, await reply.text());
  const { role, slot = null, cast = null, expiresAt = null } = (await reply.json()) as Partial<Session>;
  return { role: role ?? 'viewer', slot, cast, expiresAt };
}
