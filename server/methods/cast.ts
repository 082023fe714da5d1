// cast.*: recordings. A token for one slot sees the recordings of that slot only, one for a recording sees that one.
import { Fault } from '../../protocol/fault.ts';
import { narrowed, requireVisible } from '../auth/scope.ts';
import type { Library } from '../cast/library.ts';
import type { Pool } from '../slot/pool.ts';
import { castOutput } from './cast-output.ts';
import type { Handlers, Peer } from './context.ts';
import type { Lane } from './lane.ts';

export interface CastMethodParts {
  readonly library: Library;
  readonly pool: Pool;
  readonly lane: Lane;
}

type CastHandlers = Pick<Handlers, Extract<keyof Handlers, `cast.${string}`>>;

/** Each costs some milliseconds at least: they run in turn among the credentials. */
export function castHandlers({ library, pool, lane }: CastMethodParts): CastHandlers {
  const inTurn = <T>(peer: Peer, work: () => Promise<T>): Promise<T> =>
    lane.run(peer.grant.id, async () => {
      if (peer.closed) throw new Fault('CANCELLED');
      return await work();
    });
  const allow = (peer: Peer, cast: string): Promise<void> => requireVisible(library, cast, peer.grant);
  return {
    'cast.list': (call, { peer }) =>
      inTurn(peer, async () => ({ casts: await library.list(narrowed(peer.grant, call)) })),
    'cast.info': ({ cast }, { peer }) =>
      inTurn(peer, async () => {
        await allow(peer, cast);
        return await library.info(cast);
      }),
    'cast.seek': ({ cast, time, text }, { peer }) =>
      inTurn(peer, async () => {
        await allow(peer, cast);
        return await library.seek(cast, time, text);
      }),
    'cast.read': ({ cast, from, to }, { peer }) =>
      inTurn(peer, async () => {
        await allow(peer, cast);
        return await library.read(cast, from, to);
      }),
    'cast.verify': ({ cast }, { peer, signal }) =>
      inTurn(peer, async () => {
        await allow(peer, cast);
        return { cast, ...(await library.verify(cast, signal)) };
      }),
    'cast.pin': async ({ cast, pinned }, { peer }) => {
      await allow(peer, cast);
      await library.pin(cast, pinned);
      return { cast, pinned };
    },
    'cast.output': (call, { peer }) =>
      inTurn(peer, async () => {
        await allow(peer, call.cast);
        return await castOutput({ library, pool }, call);
      }),
  };
}
