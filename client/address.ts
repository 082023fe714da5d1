// Where a gateway is: one URL given by the user becomes the WebSocket's and those of the HTTP routes. Pure; holds no credential.

export interface Address {
  /** ws: or wss:, with the path of the WebSocket. */
  readonly socket: string;
  /** http: or https:, ends with a slash; the gateway may lie below a path of a proxy. */
  readonly base: string;
}

/** `http://host:8080`, `https://host/slotcast/`, `ws://host/ws`. Throws TypeError for what is no such URL. */
export function addressOf(url: string): Address {
  const { protocol, host, pathname, search } = parse(url);
  const secure = protocol === 'https:' || protocol === 'wss:';
  if (!secure && protocol !== 'http:' && protocol !== 'ws:') {
    throw new TypeError(`${url} is no gateway's URL: it begins with http:// or https://`);
  }
  if (search !== '') throw new TypeError('The URL of a gateway has no query. Name a slot by acquire({ slot }).');
  const path = pathname.replace(/\/ws\/?$/, '/').replace(/\/*$/, '/');
  return {
    socket: `${secure ? 'wss' : 'ws'}://${host}${path}ws`,
    base: `${secure ? 'https' : 'http'}://${host}${path}`,
  };
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new TypeError(`${JSON.stringify(url)} is no URL. Give one like http://127.0.0.1:8080`);
  }
}
