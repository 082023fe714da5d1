// From nothing to a prompt that takes keys.

export const line = {
  what: 'terminal ready after start',
  unit: 'ms',
  aim: { p50: 25 },
  blocks: 10,
  samples: 4,
  warmUp: 1,
  async open(bench) {
    const floor = bench.terminals();
    const gateway = await bench.gateway();
    const { terminal } = await (await gateway.connect()).acquire();
    return {
      floor: (count) => floor.ask(`shell ${count}`),
      slotcast: (count) =>
        startTimes(count, {
          start: async () => {
            await terminal.start();
            await terminal.wait({ prompt: true });
          },
          stop: () => terminal.stop(),
        }),
    };
  },
  http: {
    side: (api) => (count) =>
      startTimes(count, {
        start: () => api.execute(0, 'tmux', { action: 'start' }),
        stop: () => api.execute(0, 'tmux', { action: 'stop' }),
      }),
  },
};

async function startTimes(count, { start, stop }) {
  const all = [];
  for (let at = 0; at < count; at++) {
    const beginMs = performance.now();
    await start();
    all.push(performance.now() - beginMs);
    await stop();
  }
  return all;
}
