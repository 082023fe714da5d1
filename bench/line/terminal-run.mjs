// One command after the other in a slot's living shell.
import { timed } from '../sample.mjs';

const command = 'true';

export const line = {
  what: 'terminal.run `true`',
  unit: 'ms',
  aim: { p50: 1, p99: 4 },
  blocks: 20,
  samples: 50,
  warmUp: 50,
  async open(bench) {
    const floor = bench.terminals();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    return {
      floor: (count) => floor.ask(`mark ${count}`),
      slotcast: (count) => timed(count, () => slot.terminal.run({ command })),
    };
  },
  http: {
    side: (api) => (count) => timed(count, () => api.execute(0, 'bash_stateful', { command })),
  },
};
