// `node bench/crowd.mjs [CONNECTIONS=5000]` after a build: so many viewers' WebSockets that say nothing, and an agent that works meanwhile.
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';
import { startGateway, TOKEN } from './gateway.mjs';

const count = Number(process.argv[2] ?? 5000);
/** Opened side by side. */
const BATCH = 50;
const gateway = await startGateway({ flags: ['--slots', '4'] });
const { url } = gateway;
const mib = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))[1]) / 1024;
const client = await gateway.connect();
const slot = await client.acquire();
const times = async () => {
  const all = [];
  for (let n = 0; n < 50; n++) {
    const startMs = performance.now();
    await slot.exec.run({ command: 'echo x' });
    all.push(performance.now() - startMs);
  }
  return all.sort((a, b) => a - b)[25];
};
await times();
const alone = { ms: await times(), mib: mib() };
const sockets = [];
let closed = 0;
const open = async () => {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['slotcast.v1'], { headers });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.once('close', () => closed++);
  sockets.push(socket);
};
const startMs = performance.now();
for (let done = 0; done < count; done += BATCH) await Promise.all(Array.from({ length: BATCH }, open));
const openMs = performance.now() - startMs;
const crowded = { ms: await times(), mib: mib() };
// Long enough for three pings: who answers them stays.
await new Promise((resolve) => setTimeout(resolve, 50_000));
console.log(
  `${sockets.length} connections in ${(openMs / 1000).toFixed(1)} s, ${closed} of them closed after 50 s; ` +
    `${(((crowded.mib - alone.mib) * 1024) / count).toFixed(1)} KiB each; exec ${alone.ms.toFixed(1)} ms alone, ${crowded.ms.toFixed(1)} ms beside them`,
);
for (const socket of sockets) socket.terminate();
await gateway.close();
process.exit(closed === 0 ? 0 : 1);
