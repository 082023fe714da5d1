// Commands on eight slots at once, each as soon as the one before has ended.
const command = 'true';
const SLOTS = 8;
const BLOCK_MS = 2000;

/** Commands a second of all loops together, in a block. */
async function rateOf(run) {
  const beginMs = performance.now();
  const endMs = beginMs + BLOCK_MS;
  let count = 0;
  const loop = async (slot) => {
    for (; performance.now() < endMs; count++) await run(slot);
  };
  await Promise.all(Array.from({ length: SLOTS }, (_, slot) => loop(slot)));
  return [(count * 1000) / (performance.now() - beginMs)];
}

const shown = (delays) => Math.max(...delays).toFixed(1);

export const line = {
  what: `commands a second, ${SLOTS} slots`,
  unit: '/s',
  aim: { text: 'above another server (--http)' },
  isRate: true,
  blocks: 6,
  samples: 1,
  warmUp: 1,
  async open(bench) {
    const floor = bench.commands();
    const gateway = await bench.gateway({ flags: ['--slots', String(SLOTS)] });
    const slots = [];
    for (let at = 0; at < SLOTS; at++) slots.push(await (await gateway.connect()).acquire());
    const keeper = await gateway.keeperDelay();
    const delays = { gateway: [], keeper: [] };
    return {
      floor: () => floor.ask(`rate ${BLOCK_MS} ${SLOTS}`),
      slotcast: async () => {
        await Promise.all([gateway.loopDelay(), keeper.reset()]);
        const rate = await rateOf((at) => slots[at].exec.run({ command }));
        delays.gateway.push(await gateway.loopDelay());
        delays.keeper.push(await keeper.p99());
        return rate;
      },
      notes: () => [
        `event loop p99, of which 10 ms are the timer's own (aim 20): gateway ${shown(delays.gateway)}, keeper ${shown(delays.keeper)} ms`,
      ],
    };
  },
  http: {
    slots: SLOTS,
    side: (api) => () => rateOf((at) => api.execute(at, 'bash', { command })),
  },
};
