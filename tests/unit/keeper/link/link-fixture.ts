// Gateways that come and go at a real keeper in a process of its own.
import { framesBehind } from '../../../../server/cast/tail.ts';
import { castDirectory } from '../../../../server/keeper/cast-place.ts';
import type { KeptProcess } from '../../../../server/keeper/keeper.ts';
import { RemoteKeeper } from '../../../../server/keeper/link/remote-keeper.ts';
import { DEFAULT_POLICY } from '../../../../server/keeper/sandbox/policy.ts';
import { endKeeper } from '../../../support/keeper.ts';
import { type Home, makeHome, order } from '../place-fixture.ts';

export interface Link {
  readonly home: Home;
  /** What gateways have logged. */
  readonly said: readonly string[];
  /** One more gateway, which takes the keeper over. */
  reach(): Promise<RemoteKeeper>;
  close(): Promise<void>;
}

export async function makeLink(): Promise<Link> {
  const home = await makeHome();
  const { dataDir } = home;
  const said: string[] = [];
  const keepers: RemoteKeeper[] = [];
  const disk = { diskBytes: 0, files: 0, minFreeBytes: 0 };
  const how = { policy: DEFAULT_POLICY, record: 'best-effort', recordInput: false, uidBase: 400_000 } as const;
  const settings = { dataDir, disk, aloneMs: 60_000, ...how };
  return {
    home,
    said,
    reach: async () => {
      const keeper = await RemoteKeeper.open({
        settings,
        version: 'test',
        log: { error: (_detail, message) => void said.push(message) },
        readFrames: (cast, from) => framesBehind(castDirectory(dataDir), cast, from),
      });
      keepers.push(keeper);
      return keeper;
    },
    close: async () => {
      for (const keeper of keepers) keeper.leave();
      await endKeeper(dataDir);
      await home.remove();
    },
  };
}

/** A log for slot_0, in which commands run. */
export async function lease(keeper: RemoteKeeper, cast = 'cast_one') {
  const place = await keeper.preparePlace('slot_0');
  const log = await keeper.openLog({ cast, slot: 'slot_0', label: null, cols: 80, rows: 24 }, place);
  let count = 0;
  const start = async (command: string, more: Parameters<typeof order>[1] = {}): Promise<KeptProcess> => {
    const marker = { cast, process: `p${++count}`, command };
    return await keeper.startProcess({ place, network: 'none', order: order(command, more), marker });
  };
  const terminal = (command: string) =>
    keeper.startTerminal({ place, network: 'none', cast, cols: 80, rows: 24, env: {}, argv: ['bash', '-c', command] });
  return { place, log, start, terminal };
}
