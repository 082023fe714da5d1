// One command after the other on a slot that has just run one.
import { timed } from '../sample.mjs';

const command = 'true';

export const line = {
  what: 'one command `true`',
  unit: 'ms',
  aim: { p50: 1.5, p99: 5 },
  blocks: 20,
  samples: 25,
  warmUp: 20,
  async open(bench) {
    const floor = bench.commands();
    const sockets = await bench.sockets();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    return {
      floor: (count) => floor.ask(`cold ${count}`),
      more: {
        'a sandbox that waits': (count) => floor.ask(`warm ${count}`),
        'JSON-RPC by bare ws': (count) => timed(count, () => sockets.call()),
      },
      slotcast: (count) => timed(count, () => slot.exec.run({ command })),
    };
  },
  http: {
    side: (api) => (count) => timed(count, () => api.execute(0, 'bash', { command })),
  },
};
