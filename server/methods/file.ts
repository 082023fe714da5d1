// file.* and artifact.*: the workspace of the bound slot.
import type { Pool } from '../slot/pool.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { boundSlot } from './bound.ts';
import type { Handlers, Peer } from './context.ts';

type FileHandlers = Pick<Handlers, Extract<keyof Handlers, `file.${string}` | `artifact.${string}`>>;

export function fileHandlers(pool: Pool): FileHandlers {
  const files = (peer: Peer): Workspace => boundSlot(pool, peer).workspace;
  return {
    'file.read': (call, { peer }) => files(peer).read(call),
    'file.write': (call, { peer }) => files(peer).write(call),
    'file.list': (call, { peer }) => files(peer).list(call),
    'file.stat': ({ path }, { peer }) => files(peer).stat(path),
    'file.remove': async (call, { peer }) => {
      await files(peer).remove(call);
      return {};
    },
    'file.mkdir': async ({ path }, { peer }) => {
      await files(peer).mkdir(path);
      return {};
    },
    'file.move': async (call, { peer }) => {
      await files(peer).move(call);
      return {};
    },
    'artifact.archive': async (call, { peer, signal }) => {
      const { data, ...count } = await files(peer).archive({ ...call, signal });
      return { ...count, data: data.toString('base64'), encoding: 'base64' };
    },
  };
}
