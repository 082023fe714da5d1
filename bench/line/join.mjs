// Somebody begins to look at a terminal that has printed for an hour, and that nobody else looks at.

import { printHistory } from '../history.mjs';
import { timed } from '../sample.mjs';

const HISTORY_BYTES = 20 * 2 ** 20;

export const line = {
  what: 'join a live slot with an hour of history',
  unit: 'ms',
  aim: { p50: 20 },
  blocks: 10,
  samples: 5,
  async open(bench) {
    const sockets = await bench.sockets();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    await printHistory(slot, HISTORY_BYTES);
    const viewer = await gateway.connect();
    const join = async () => {
      const watch = await viewer.watch({ slot: slot.name });
      const reader = watch[Symbol.asyncIterator]();
      await reader.next();
      return watch;
    };
    const beginMs = performance.now();
    await (await join()).close();
    const firstMs = performance.now() - beginMs;
    return {
      floor: (count) => timed(count, () => sockets.call(4096)),
      slotcast: async (count) => {
        const all = [];
        for (let at = 0; at < count; at++) {
          const startMs = performance.now();
          const watch = await join();
          all.push(performance.now() - startMs);
          await watch.close();
        }
        return all;
      },
      notes: () => [`the first viewer, for whom the screen is made: ${firstMs.toFixed(1)} ms`],
    };
  },
};
