// How late the event loop of a Node process is, asked from outside through its inspector, for a process that tells it nowhere.
// Of the ms that are told ten are the timer's own, as in /metrics.
import { once } from 'node:events';
import WebSocket from 'ws';
import { until } from './sample.mjs';

/** Where a process listens that was told so by SIGUSR1: one at a time on a host. */
const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const START =
  "const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks');" +
  ' globalThis.loopDelay = monitorEventLoopDelay({ resolution: 10 }); globalThis.loopDelay.enable()';

export async function attachLoopDelay(pid) {
  process.kill(pid, 'SIGUSR1');
  let url = null;
  await until('the inspector listens', async () => {
    const found = await fetch(INSPECTOR).then(
      (reply) => reply.json(),
      () => [],
    );
    url = found[0]?.webSocketDebuggerUrl ?? null;
    return url !== null;
  });
  const socket = new WebSocket(url);
  await once(socket, 'open');
  let id = 0;
  const evaluate = async (expression) => {
    socket.send(JSON.stringify({ id: ++id, method: 'Runtime.evaluate', params: { expression, returnByValue: true } }));
    const [data] = await once(socket, 'message');
    return JSON.parse(data).result.result.value;
  };
  if ((await evaluate('process.pid')) !== pid) throw new Error('another process listens for inspectors');
  await evaluate(START);
  return {
    reset: () => evaluate('globalThis.loopDelay.reset()'),
    p99: async () => (await evaluate('globalThis.loopDelay.percentile(99)')) / 1e6,
    close: () => socket.terminate(),
  };
}
