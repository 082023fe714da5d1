// cast.*: recordings. A token for one slot sees the recordings of that slot only.
import { Fault } from '../../protocol/fault.ts';
import type { Library } from '../cast/library.ts';
import type { Pool } from '../slot/pool.ts';
import { castOutput } from './cast-output.ts';
import type { Handlers, Peer } from './context.ts';

type CastHandlers = Pick<Handlers, Extract<keyof Handlers, `cast.${string}`>>;

export function castHandlers(library: Library, pool: Pool): CastHandlers {
  const allow = (peer: Peer, cast: string): Promise<void> => requireVisible(library, cast, peer.grant.slot);
  return {
    'cast.list': async (call, { peer }) => {
      const slot = peer.grant.slot ?? call.slot;
      return { casts: await library.list(slot === undefined ? call : { ...call, slot }) };
    },
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
    'cast.output': async (call, { peer }) => {
      await allow(peer, call.cast);
      return await castOutput({ library, pool }, call);
    },
  };
}

/** A token of one slot learns nothing of other slots' recordings, not even that they are there. */
export async function requireVisible(
  library: Pick<Library, 'slotOf'>,
  cast: string,
  only: string | null,
): Promise<void> {
  if (only === null) return;
  const slot = await library.slotOf(cast).catch(() => null);
  if (slot !== only) throw new Fault('CAST_NOT_FOUND');
}
