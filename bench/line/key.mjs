// A key that an agent types until its echo is at somebody else who looks.
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
    await terminal.run({ command: 'stty -echo; clear' });
    // The line is read as it comes, so that it never gets too long for the kernel.
    await terminal.write('stty echo; exec cat\r');
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
    const typed = async (text, wanted) => {
      const beginMs = performance.now();
      const shown = new Promise((resolve) => {
        seen = (data) => data.includes(wanted) && resolve(performance.now() - beginMs);
      });
      await terminal.write(text);
      return await shown;
    };
    return {
      floor: (count) => floor.ask(`echo ${count}`),
      slotcast: async (count) => {
        const all = [];
        for (let at = 0; at < count; at++) all.push(await typed('x', 'x'));
        await typed('\r', 'x\r\n');
        return all;
      },
    };
  },
};
