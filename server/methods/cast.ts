// cast.*: recordings. A token for one slot sees the recordings of that slot only, one for a recording sees that one.
import { narrowed, requireVisible } from '../auth/scope.ts';
import type { Library } from '../cast/library.ts';
import type { Handlers, Peer } from './context.ts';

type CastHandlers = Pick<Handlers, Extract<keyof Handlers, `cast.${string}`>>;

export function castHandlers(library: Library): CastHandlers {
  const allow = (peer: Peer, cast: string): Promise<void> => requireVisible(library, cast, peer.grant);
  return {
    'cast.list': async (call, { peer }) => ({ casts: await library.list(narrowed(peer.grant, call)) }),
    'cast.info': async ({ cast }, { peer }) => {
      await allow(peer, cast);
      return await library.info(cast);
    },
    'cast.seek': async ({ cast, time }, { peer }) => {
      await allow(peer, cast);
      return await library.seek(cast, time);
    },
    'cast.read': async ({ cast, from, to }, { peer }) => {
      await allow(peer, cast);
      return await library.read(cast, from, to);
    },
  };
}
