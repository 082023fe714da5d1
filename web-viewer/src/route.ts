// Addresses of the page: paths that can be shared and reloaded. Secrets that arrive in a fragment are taken out of it before anything else.
import { Store } from './store.ts';

export type Route =
  | { readonly page: 'wall' }
  | { readonly page: 'slot'; readonly slot: string }
  | { readonly page: 'casts' }
  | { readonly page: 'cast'; readonly cast: string; readonly time: number | null }
  | { readonly page: 'nowhere' };

export function parseRoute({ pathname, hash }: { readonly pathname: string; readonly hash: string }): Route {
  const [room = '', name = '', ...rest] = pathname
    .split('/')
    .filter((step) => step !== '')
    .map(decoded);
  if (rest.length > 0) return { page: 'nowhere' };
  if (room === '') return { page: 'wall' };
  if (room === 'slot' && name !== '') return { page: 'slot', slot: name };
  if (room === 'casts' && name === '') return { page: 'casts' };
  if (room === 'cast' && name !== '') return { page: 'cast', cast: name, time: momentOf(hash) };
  return { page: 'nowhere' };
}

export function pathOf(route: Route): string {
  if (route.page === 'slot') return `/slot/${encodeURIComponent(route.slot)}`;
  if (route.page === 'casts') return '/casts';
  if (route.page === 'cast') return `/cast/${encodeURIComponent(route.cast)}${momentHash(route.time)}`;
  return '/';
}

/** Seconds, to the hundredth, and never before the moment that is seen: who opens the link is to see what was printed up to there. */
export const momentHash = (time: number | null): string =>
  time === null ? '' : `#t=${Math.ceil(time * 100 - 1e-6) / 100}`;

function momentOf(hash: string): number | null {
  const said = /(?:^#|&)t=(\d{1,9}(?:\.\d{1,6})?)(?:&|$)/.exec(hash)?.[1];
  return said === undefined ? null : Number(said);
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/** The address bar as a value, and links that change it without loading the page anew. */
export class Router {
  readonly route: Store<Route>;

  constructor() {
    this.route = new Store(parseRoute(location));
    const read = (): void => this.route.set(parseRoute(location));
    addEventListener('popstate', read);
    addEventListener('hashchange', read);
    document.addEventListener('click', (event) => this.#follow(event));
  }

  go(route: Route): void {
    history.pushState(null, '', pathOf(route));
    this.route.set(route);
    scrollTo(0, 0);
  }

  /** Of a recording: the address tells the moment, and no step back is made of each. */
  mark(time: number): void {
    history.replaceState(null, '', `${location.pathname}${momentHash(time)}`);
  }

  #follow(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !isPlain || event.defaultPrevented) return;
    if (link.origin !== location.origin || link.target !== '' || link.hasAttribute('download')) return;
    const route = parseRoute(link);
    if (route.page === 'nowhere') return;
    event.preventDefault();
    this.go(route);
  }
}
