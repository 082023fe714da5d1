// One command after the other on a slot that has just run one, as an agent runs them: with a pause between, and without.
import { paced, timed } from '../sample.mjs';

const command = 'true';

export const line = {
  what: 'one command `true`',
  unit: 'ms',
  aim: { p50: 1.5, p99: 5 },
  blocks: 15,
  samples: 20,
  warmUp: 20,
  async open(bench) {
    const floor = bench.commands();
    const sockets = await bench.sockets();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    const run = () => slot.exec.run({ command });
    return {
      floor: (count) => paced(count, () => floor.ask('cold 1')),
      more: {
        'floor, a sandbox that waits': (count) => paced(count, () => floor.ask('warm 1')),
        'floor, JSON-RPC by bare ws': (count) => paced(count, () => timed(1, () => sockets.call())),
        'slotcast without a pause between commands': (count) => timed(count, run),
      },
      slotcast: (count) => paced(count, () => timed(1, run)),
    };
  },
  http: {
    side: (api) => (count) => paced(count, () => timed(1, () => api.execute(0, 'bash', { command }))),
  },
};
