// What a slot with a terminal takes that does nothing: all its processes, and what gateway and keeper take for it.
import { setTimeout as delay } from 'node:timers/promises';
import { pssMb, withChildren } from '../memory.mjs';

/** Garbage is gone by then, and what stood by for a moment. */
const SETTLE_MS = 10_000;

export const line = {
  what: 'memory of an idle terminal slot, PSS',
  unit: 'MB',
  aim: { p50: 1.5 },
  blocks: 3,
  samples: 50,
  async open(bench) {
    const floor = bench.terminals();
    const parts = [];
    return {
      floor: async (count) => {
        const pids = await floor.ask(`hold ${count}`);
        const mb = pssMb(withChildren(...pids));
        await floor.ask('hold 0');
        return [mb / count];
      },
      slotcast: async (count) => {
        const gateway = await bench.gateway({ flags: ['--slots', String(count + 1)] });
        const sizes = () => {
          const [own, keeper] = [gateway.pid, gateway.keeperPid()];
          const others = withChildren(own, keeper).filter((pid) => pid !== own && pid !== keeper);
          return { gateway: pssMb([own]), keeper: pssMb([keeper]), slots: pssMb(others) };
        };
        await begin(gateway);
        await delay(SETTLE_MS);
        const before = sizes();
        for (let at = 0; at < count; at++) await begin(gateway);
        await delay(SETTLE_MS);
        const after = sizes();
        await gateway.close();
        const each = Object.fromEntries(Object.keys(after).map((part) => [part, (after[part] - before[part]) / count]));
        parts.push(each);
        return [each.gateway + each.keeper + each.slots];
      },
      notes: () => {
        const last = parts.at(-1);
        return [
          `its processes ${last.slots.toFixed(2)}, keeper ${last.keeper.toFixed(2)}, gateway ${last.gateway.toFixed(2)}`,
        ];
      },
    };
  },
};

async function begin(gateway) {
  const { terminal } = await (await gateway.connect()).acquire();
  await terminal.start();
  await terminal.wait({ prompt: true });
}
