// file.* and artifact.*: the workspace of the bound slot.
import { Fault } from '../../protocol/fault.ts';
import type { Pool } from '../slot/pool.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { boundLease, boundSlot } from './bound.ts';
import { Bulk } from './bulk.ts';
import type { Context, Handlers, Peer } from './context.ts';

type FileHandlers = Pick<Handlers, Extract<keyof Handlers, `file.${string}` | `artifact.${string}`>>;

/** Each may hold 16 MiB three times over: as bytes, as base64 and as a message. */
const READS_AT_ONCE = 2;
/** Apart from reads, since one may go through a hundred thousand files. */
const ARCHIVES_AT_ONCE = 2;

export function fileHandlers(pool: Pool): FileHandlers {
  const files = (peer: Peer): Workspace => boundSlot(pool, peer).workspace;
  const reads = new Bulk(READS_AT_ONCE);
  const archives = new Bulk(ARCHIVES_AT_ONCE);
  /** Who waited for a turn may drive another slot by then: the call was not meant for that. */
  const inTurn = async <T>(bulk: Bulk, context: Context, work: (workspace: Workspace) => Promise<T>): Promise<T> => {
    const lease = boundLease(context.peer);
    return bulk.run(context, () => {
      if (context.peer.lease !== lease) throw new Fault('LEASE_LOST', 'The lease of this call has ended.');
      return work(files(context.peer));
    });
  };
  return {
    'file.read': (call, context) => inTurn(reads, context, (workspace) => workspace.read(call)),
    'file.write': (call, { peer }) => files(peer).write(call),
    'file.list': (call, context) => inTurn(reads, context, (workspace) => workspace.list(call)),
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
      inTurn(archives, context, async (workspace) => {
        const { data, ...count } = await workspace.archive({ ...call, signal: context.signal });
        return { ...count, data: data.toString('base64'), encoding: 'base64' };
      }),
  };
}
