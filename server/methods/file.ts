// file.* and artifact.*: the workspace of the bound slot.
import type { Pool } from '../slot/pool.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { boundSlot } from './bound.ts';
import type { Context, Handlers, Peer } from './context.ts';
import { Lane } from './lane.ts';

type FileHandlers = Pick<Handlers, Extract<keyof Handlers, `file.${string}` | `artifact.${string}`>>;

export function fileHandlers(pool: Pool): FileHandlers {
  const files = (peer: Peer): Workspace => boundSlot(pool, peer).workspace;
  /** What is read is held until it is sent: of hundreds of such calls a few at a time. */
  const lane = new Lane();
  const held = async <T>({ peer, room }: Context, work: () => Promise<T>): Promise<T> =>
    await lane.run(peer.grant.id, async () => {
      await room?.();
      return await work();
    });
  return {
    'file.read': (call, context) => held(context, () => files(context.peer).read(call)),
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
    'artifact.archive': (call, context) =>
      held(context, async () => {
        const { data, ...count } = await files(context.peer).archive({ ...call, signal: context.signal });
        return { ...count, data: data.toString('base64'), encoding: 'base64' };
      }),
  };
}
