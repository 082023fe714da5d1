// Where a request carries its credential: header, subprotocol or cookie. Pure; a URL is no place for one, since URLs are logged and shared.
import { Fault } from '../../protocol/fault.ts';

export const COOKIE = 'slotcast';
const BEARER_PROTOCOL = 'slotcast.bearer.';
/** Names under which people put tokens into URLs. */
const queryNames = new Set(['token', 'access_token', 'bearer', 'authorization', 'auth', 'api_key', 'apikey', 'jwt']);

export interface Carrier {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
}

/** How the credential came: a cookie is sent by a browser without being asked, so what changes things needs more. */
export interface Credential {
  readonly token: string;
  readonly by: 'header' | 'protocol' | 'cookie';
}

/** The credential of a request, null when it has none. UNAUTHENTICATED when one stands in the URL or can't be read. */
export function findCredential({ headers, url = '' }: Carrier): Credential | null {
  refuseInUrl(url);
  return fromHeader(text(headers['authorization'])) ?? fromProtocol(headers) ?? fromCookie(text(headers['cookie']));
}

/** The subprotocols that a request offers, without the one that carries a credential. */
export function offeredProtocols(headers: Carrier['headers']): readonly string[] {
  return protocols(headers).filter((name) => !name.startsWith(BEARER_PROTOCOL));
}

function refuseInUrl(url: string): void {
  const query = url.indexOf('?');
  if (query < 0) return;
  for (const name of new URLSearchParams(url.slice(query + 1)).keys()) {
    if (!queryNames.has(name.toLowerCase())) continue;
    throw new Fault(
      'UNAUTHENTICATED',
      'A token never goes into a URL, where logs keep it. Send Authorization: Bearer TOKEN; and make a new token.',
    );
  }
}

function fromHeader(header: string): Credential | null {
  // Another scheme is a proxy's before the gateway.
  if (!/^Bearer\b/i.test(header)) return null;
  const token = /^Bearer +(\S+) *$/i.exec(header)?.[1];
  if (token === undefined) throw new Fault('UNAUTHENTICATED', 'Send Authorization: Bearer TOKEN.');
  return { token, by: 'header' };
}

function fromProtocol(headers: Carrier['headers']): Credential | null {
  const name = protocols(headers).find((candidate) => candidate.startsWith(BEARER_PROTOCOL));
  if (name === undefined) return null;
  const token = Buffer.from(name.slice(BEARER_PROTOCOL.length), 'base64url').toString('utf8');
  return { token, by: 'protocol' };
}

function fromCookie(header: string): Credential | null {
  for (const pair of header.split(';')) {
    const [name, ...value] = pair.split('=');
    if (name?.trim() === COOKIE) return { token: value.join('=').trim(), by: 'cookie' };
  }
  return null;
}

const protocols = (headers: Carrier['headers']): string[] =>
  text(headers['sec-websocket-protocol'])
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

const text = (header: string | string[] | undefined): string =>
  Array.isArray(header) ? header.join(', ') : (header ?? '');
