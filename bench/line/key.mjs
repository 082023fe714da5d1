// A key that an agent types, until what the program prints for it is at somebody else who looks.
import { timed } from '../sample.mjs';

export const line = {
  what: 'keystroke → frame at a viewer',
  unit: 'ms',
  aim: { p50: 1.5 },
  blocks: 20,
  samples: 50,
  warmUp: 50,
  async open(bench) {
    const floor = bench.terminals();
    const gateway = await bench.gateway();
    const { terminal, name } = await (await gateway.connect()).acquire();
    await terminal.write('stty raw -echo; echo rea""dy; exec cat\r');
    await terminal.wait({ text: 'ready' });
    const watch = await (await gateway.connect()).watch({ slot: name });
    let seen = () => {};
    const looking = (async () => {
      for await (const event of watch)
        if (event.kind === 'frames') seen(event.frames.map(([, , data]) => data).join(''));
    })();
    bench.hold({
      close: async () => {
        await watch.close();
        await looking;
      },
    });
    const typed = async (key) => {
      const shown = new Promise((resolve) => {
        seen = (data) => data.includes(key) && resolve();
      });
      await terminal.write(key);
      await shown;
    };
    return {
      floor: (count) => floor.ask(`echo ${count}`),
      slotcast: (count) => timed(count, () => typed('x')),
    };
  },
};
