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
    const delays = [];
    return {
      floor: () => floor.ask(`rate ${BLOCK_MS} ${SLOTS}`),
      slotcast: async () => {
        await gateway.metric('slotcast_nodejs_eventloop_lag_p99_seconds');
        const rate = await rateOf((at) => slots[at].exec.run({ command }));
        delays.push((await gateway.metric('slotcast_nodejs_eventloop_lag_p99_seconds')) * 1000);
        return rate;
      },
      notes: () => [`event loop of the gateway, p99: ${Math.max(...delays).toFixed(1)} ms (aim 20)`],
    };
  },
  http: {
    slots: SLOTS,
    side: (api) => () => rateOf((at) => api.execute(at, 'bash', { command })),
  },
};
