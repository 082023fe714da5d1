// terminal.*: the persistent shell of the bound slot.

import type { Pool } from '../slot/pool.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { boundLease, boundSlot } from './bound.ts';
import type { Handlers, Peer } from './context.ts';
import { Lane } from './lane.ts';

type TerminalHandlers = Pick<Handlers, Extract<keyof Handlers, `terminal.${string}`>>;

export function terminalHandlers(pool: Pool): TerminalHandlers {
  /** A large screen takes some hundredths of a second to read: in turn among the slots. */
  const screens = new Lane();
  const terminalOf = (peer: Peer): Terminal => {
    boundSlot(pool, peer);
    return boundLease(peer).terminal;
  };
  return {
    'terminal.start': (call, { peer }) => terminalOf(peer).start(call),
    'terminal.run': (call, { peer, signal }) => {
      const terminal = terminalOf(peer);
      const keyed = { key: call.key, method: 'terminal.run', params: call, signal };
      return boundLease(peer).keys.once(keyed, (joined, key) => terminal.run(call, joined, key));
    },
    'terminal.write': async ({ data }, { peer }) => {
      await terminalOf(peer).write(data);
      return {};
    },
    'terminal.keys': async ({ keys }, { peer }) => {
      await terminalOf(peer).keys(keys);
      return {};
    },
    'terminal.resize': (call, { peer }) => terminalOf(peer).resize(call),
    'terminal.capture': (call, { peer }) => {
      const { name } = boundSlot(pool, peer);
      return screens.run(name, () => terminalOf(peer).capture(call));
    },
    'terminal.wait': (call, { peer, signal }) => terminalOf(peer).wait(call, signal),
    'terminal.stop': (_call, { peer }) => terminalOf(peer).stop(),
  };
}
