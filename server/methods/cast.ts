// cast.*: recordings. A token for one slot sees the recordings of that slot only, one for a recording sees that one.
import { narrowed, requireVisible } from '../auth/scope.ts';
import type { Library } from '../cast/library.ts';
import type { Pool } from '../slot/pool.ts';
import { castOutput } from './cast-output.ts';
import type { Handlers, Peer } from './context.ts';

type CastHandlers = Pick<Handlers, Extract<keyof Handlers, `cast.${string}`>>;

export function castHandlers(library: Library, pool: Pool): CastHandlers {
  const allow = (peer: Peer, cast: string): Promise<void> => requireVisible(library, cast, peer.grant);
  return {
    'cast.list': async (call, { peer }) => ({ casts: await library.list(narrowed(peer.grant, call)) }),
    'cast.info': async ({ cast }, { peer }) => {
      await allow(peer, cast);
      return await library.info(cast);
    },
    'cast.seek': async ({ cast, time, text }, { peer }) => {
      await allow(peer, cast);
      return await library.seek(cast, time, text);
    },
    'cast.read': async ({ cast, from, to }, { peer }) => {
      await allow(peer, cast);
      return await library.read(cast, from, to);
    },
    'cast.verify': async ({ cast }, { peer, signal }) => {
      await allow(peer, cast);
      return { cast, ...(await library.verify(cast, signal)) };
    },
    'cast.output': async (call, { peer }) => {
      await allow(peer, call.cast);
      return await castOutput({ library, pool }, call);
    },
  };
}
