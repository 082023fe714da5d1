// A program that prints as fast as it can, and somebody who looks: until the agent has its result and the viewer the last line.
// Every line must be in the recording, whatever the viewer was given of it.
const LAST = 2_000_000;
const MARK = /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;
const command = `seq 1 ${LAST}`;

export const line = {
  what: `\`${command}\` in the terminal to a viewer`,
  unit: 'ms',
  aim: { ratio: 1.3 },
  blocks: 5,
  samples: 1,
  warmUp: 1,
  async open(bench) {
    const floor = bench.terminals();
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    await slot.terminal.run({ command: 'true' });
    const looker = await gateway.connect();
    const watch = await looker.watch({ slot: slot.name });
    let seen = () => {};
    const looking = (async () => {
      for await (const event of watch) {
        if (event.kind === 'frames') for (const [, , data] of event.frames) seen(data);
        else if (event.kind === 'resync') seen(event.screen);
      }
    })();
    bench.hold({
      close: async () => {
        await watch.close();
        await looking;
      },
    });
    let runs = 0;
    const run = async () => {
      const beginMs = performance.now();
      let tail = '';
      const shown = new Promise((resolve) => {
        seen = (data) => {
          tail = (tail + data).slice(-8192);
          if (tail.includes(String(LAST))) resolve();
        };
      });
      const result = await slot.terminal.run({ command, timeoutMs: 0, maxOutputBytes: 1024 });
      await shown;
      const tookMs = performance.now() - beginMs;
      if (result.exitCode !== 0) throw new Error(`the flood ended with ${result.exitCode}`);
      runs++;
      return [tookMs];
    };
    return {
      floor: () => floor.ask('flood'),
      slotcast: run,
      notes: async () => [
        `lines lost in the recording: ${(await lostLines(looker, slot.cast, runs)).toLocaleString('en')}`,
      ],
    };
  },
};

/** Of all that were printed by `runs` runs; one that is not where it belongs is lost too. */
async function lostLines(client, cast, runs) {
  const { stream } = await client.cast.download(cast);
  let [next, found, text] = [1, 0, ''];
  const count = () => {
    const numbers = text.match(/^\d+\r?$/gm) ?? [];
    for (const number of numbers) {
      if (Number(number) === next) found++;
      next = Number(number) === LAST ? 1 : Number(number) + 1;
    }
  };
  for await (const data of outputOf(stream)) {
    text += data;
    const end = text.lastIndexOf('\n') + 1;
    const rest = text.slice(end);
    text = text.slice(0, end);
    count();
    text = rest;
  }
  return runs * LAST - found;
}

/** What the terminal printed, in pieces. */
async function* outputOf(stream) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const event = line.startsWith('[') ? JSON.parse(line) : null;
      // Marks of the shell stand before the first line.
      if (event?.[1] === 'o') yield event[2].replaceAll(MARK, '');
    }
  }
}
