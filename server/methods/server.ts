// server.info and rpc.discover.
import { openRpc } from '../../protocol/openrpc.ts';
import type { Capability } from '../../protocol/server.ts';
import type { Handlers } from './context.ts';

export interface ServerFacts {
  readonly version: string;
  capabilities(): Readonly<Record<string, Capability>>;
  readonly limits: Readonly<Record<string, number>>;
}

export function serverHandlers(facts: ServerFacts): Pick<Handlers, 'server.info' | 'rpc.discover'> {
  /** Made once: that takes longer than most calls. */
  let interfaceOf: ReturnType<typeof openRpc> | null = null;
  return {
    'server.info': async () => ({
      name: 'slotcast',
      version: facts.version,
      protocol: 1,
      capabilities: { ...facts.capabilities() },
      limits: { ...facts.limits },
    }),
    'rpc.discover': async () => {
      interfaceOf ??= openRpc(facts.version);
      return interfaceOf;
    },
  };
}
