// Somebody begins to look at a terminal that has printed for an hour: the first one, for whom the screen is made, and the next.
import { printHistory } from '../history.mjs';
import { timed } from '../sample.mjs';

const WARM_UP = 4;
const BLOCKS = 4;
const SAMPLES = 5;
const SLOTS = WARM_UP + BLOCKS * SAMPLES;
/** More than is kept in memory; some more in each slot, so that one ends where another does not. */
const HISTORY_BYTES = 6 * 2 ** 20;
const MORE_BYTES = 300_000;
/** What the answer of the floor has: a screen full of text. */
const SCREEN_BYTES = 4096;

export const line = {
  what: 'join a live slot with an hour of history',
  unit: 'ms',
  aim: { p50: 20 },
  blocks: BLOCKS,
  samples: SAMPLES,
  warmUp: WARM_UP,
  async open(bench) {
    const sockets = await bench.sockets();
    const gateway = await bench.gateway({ flags: ['--slots', String(SLOTS)] });
    const slots = [];
    for (let at = 0; at < SLOTS; at++) {
      const slot = await (await gateway.connect()).acquire();
      await printHistory(slot, HISTORY_BYTES + at * MORE_BYTES);
      slots.push(slot.name);
    }
    const viewer = await gateway.connect();
    const watches = [];
    const join = async (slot) => watches.push(await viewer.watch({ slot }));
    const leave = () => Promise.all(watches.splice(0).map((watch) => watch.close()));
    const [unseen, seen] = [[...slots], []];
    return {
      floor: (count) => timed(count, () => sockets.call(SCREEN_BYTES)),
      slotcast: async (count) => {
        const all = await timed(count, async () => {
          seen.push(unseen.shift());
          await join(seen.at(-1));
        });
        await leave();
        return all;
      },
      more: {
        'whom another has come before': async (count) => {
          const all = await timed(count, (at) => join(seen[at]));
          await leave();
          return all;
        },
      },
    };
  },
};
