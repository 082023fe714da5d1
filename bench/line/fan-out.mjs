// One terminal that prints sixty times a second and a thousand who look, one of whom is stuck: how old a frame is when it comes.
import { setTimeout as delay } from 'node:timers/promises';
import { startCrowd } from '../crowd-process.mjs';
import { HZ, liveAddress, stuckViewer, watchAddress, watched } from '../fan-out.mjs';

const VIEWERS = 1000;
const BLOCK_MS = 3000;

export const line = {
  what: `one slot, ${VIEWERS} viewers, ${HZ} frames/s: print → frame`,
  unit: 'ms',
  aim: { p99: 40 },
  blocks: 4,
  samples: 1,
  warmUp: 1,
  async open(bench) {
    const sockets = await bench.sockets();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    await slot.terminal.run({ command: 'true' });
    const bare = bench.hold(await startCrowd({ url: sockets.url }, VIEWERS));
    const missing = { watch: 0, live: 0 };
    const side = (address, name) => async () => {
      // Each crowd is there for its own turn alone.
      const crowd = bench.hold(await startCrowd(address, VIEWERS));
      const stuck = bench.hold(await stuckViewer(address));
      const { quantiles, count } = await watched(crowd, slot, BLOCK_MS);
      missing[name] += VIEWERS * ((BLOCK_MS * HZ) / 1000) - count;
      stuck.close();
      await crowd.close();
      return quantiles;
    };
    return {
      floor: async () => {
        await bare.begin();
        sockets.tell({ hz: HZ, ms: BLOCK_MS });
        await delay(BLOCK_MS + 300);
        return (await bare.end()).quantiles;
      },
      more: { 'as players look (ALiS)': side(liveAddress(gateway, slot), 'live') },
      slotcast: side(watchAddress(gateway, slot), 'watch'),
      notes: () => [`frames that did not come: ${missing.watch} (ALiS ${missing.live})`],
    };
  },
};
