// Which Host and Origin a request may name, so that no foreign web page reaches the gateway through somebody's browser. Pure.
import { isIP } from 'node:net';
import { Fault } from '../../protocol/fault.ts';
import type { Carrier } from './credential.ts';

interface Place {
  /** In lower case, an IPv6 address without its brackets. */
  readonly name: string;
  readonly port: string;
}

export interface OriginPolicy {
  /** The name that the gateway listens on: a right Host, but no leave for pages of other ports there. */
  readonly host?: string;
  /** `name` or `name:port`: further names of this gateway, and of pages that may talk to it. */
  readonly allowed: readonly string[];
}

/**
 * FORBIDDEN for a Host that is not this gateway's, and for an Origin that is not its own page.
 * A Host is right as a loopback name, an address (which can't be rebound as a DNS name can) or an allowed name.
 * An Origin is right when it has the Host's name and port, or is allowed; programs that are no browsers send none.
 */
export function checkOrigin({ headers, method }: Carrier, { host: own, allowed }: OriginPolicy): void {
  const host = parsePlace(one(headers['host']));
  const known =
    host !== null &&
    (isLoopback(host.name) ||
      isIP(host.name) !== 0 ||
      host.name === own?.toLowerCase() ||
      isAllowed(host, host, allowed));
  if (!known) {
    throw new Fault('FORBIDDEN', 'The Host header names another server. Start the gateway with --allow-host NAME.');
  }
  const origin = one(headers['origin']);
  if (origin !== undefined) {
    if (!isOwnPage(origin, host, allowed)) {
      throw new Fault('FORBIDDEN', 'Pages of that Origin may not use this gateway. See --allow-host.');
    }
  } else if (isForeignLoad(headers, method)) {
    throw new Fault('FORBIDDEN', 'Pages of other sites may not load from this gateway.');
  }
}

function isOwnPage(origin: string, host: Place, allowed: readonly string[]): boolean {
  const match = /^(https?):\/\/([^/?#@]+)$/i.exec(origin);
  const place = parsePlace(match?.[2]);
  if (place === null) return false;
  const defaultPort = match?.[1]?.toLowerCase() === 'https' ? '443' : '80';
  const page = { name: place.name, port: place.port || defaultPort };
  // A Host without a port has the default one of the page's scheme: TLS ends before the gateway.
  const own = { name: host.name, port: host.port || defaultPort };
  if (isAllowed(page, own, allowed)) return true;
  const sameName = page.name === own.name || (isLoopback(page.name) && isLoopback(own.name));
  return sameName && page.port === own.port;
}

/** An entry without a port means the port that the gateway was reached by, and the default ones. */
function isAllowed(place: Place, host: Place, allowed: readonly string[]): boolean {
  return allowed.some((entry) => {
    const wanted = parsePlace(entry);
    if (wanted === null || wanted.name !== place.name) return false;
    if (wanted.port !== '') return wanted.port === place.port;
    return [host.port, '', '80', '443'].includes(place.port);
  });
}

/** Browsers say so when a page of another site, or of another port of this host, loads something without naming its origin. */
function isForeignLoad(headers: Carrier['headers'], method = 'GET'): boolean {
  const site = one(headers['sec-fetch-site']);
  const foreign = site === 'cross-site' || site === 'same-site';
  // Somebody may follow a link, which changes nothing; a form is not a link.
  const isLink = one(headers['sec-fetch-mode']) === 'navigate' && method === 'GET';
  return foreign && !isLink;
}

function parsePlace(text: string | undefined): Place | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text ?? '');
  const name = match?.[1] ?? match?.[2];
  return name === undefined ? null : { name: name.toLowerCase(), port: match?.[3] ?? '' };
}

const isLoopback = (name: string): boolean =>
  name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);

const one = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header.join(', ') : header;
