// `node bench/flood.mjs [GB=1] [PART OF A NAME…]` after a build: so much output through exec and through the terminal, to fast, slow and stuck readers, while
// another slot goes on working. Prints the memory of gateway and keeper, and the latency of the other slot beside its idle one.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';
import { connect } from '../dist/client/index.js';
import { startGateway, TOKEN } from './gateway.mjs';

const [what, ...given] = process.argv.slice(2);
const bytes = Math.round(Number(/^\d/.test(what ?? '') ? what : 1) * 2 ** 30);
/** A slow reader takes so much in a second; it is left after some seconds. */
const SLOW_BYTES = 2 * 1024 * 1024;
const SLOW_MS = 15_000;

/** Lines, as a build prints them. NULs stand in JSON as six characters each. */
const text = (size) => `yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c ${size}`;

/** Each floods a slot of its own, from a process of its own; resolves with the bytes that it was told of. */
const floods = {
  'exec, kept': async (slot, size) =>
    (await slot.exec.run({ command: text(size), timeoutMs: 0, maxOutputBytes: 1024 })).stdoutBytes,
  'exec, streamed to a fast reader': async (slot, size) => await streamed(slot, text(size)),
  'exec, NULs streamed to a fast reader': async (slot, size) => await streamed(slot, `head -c ${size} /dev/zero`),
  'exec, streamed to a slow reader': async (slot, size, url) => await slow(slot, size, url),
  'terminal, nobody looks': async (slot, size) => await terminal(slot, size),
  'terminal, one looks': async (slot, size, url) => {
    const viewer = await connect({ url, token: TOKEN });
    const watch = await viewer.watch({ slot: slot.name });
    const looking = (async () => {
      for await (const _ of watch);
    })();
    const printed = await terminal(slot, size);
    await watch.close();
    await viewer.close();
    await looking.catch(() => {});
    return printed;
  },
  'terminal, a stuck one looks': async (slot, size, url) => {
    const stuck = new WebSocket(`${url.replace('http', 'ws')}/live/${slot.name}`, ['v1.alis'], {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    await new Promise((resolve) => stuck.once('open', resolve));
    stuck._socket.pause();
    const printed = await terminal(slot, size);
    stuck.terminate();
    return printed;
  },
};

async function streamed(slot, command) {
  const process = await slot.exec.start({ command, stream: true, timeoutMs: 0 });
  let got = 0;
  for await (const { data } of process) got += data.length;
  await process.exit;
  return got;
}

/** A raw socket that is read in sips: what is not read stays in the command's pipe. */
async function slow(slot, size, url) {
  const { resume } = slot;
  await slot.close?.();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['slotcast.v1'], {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  await new Promise((resolve) => socket.once('open', resolve));
  let got = 0;
  socket.on('message', (data) => {
    got += data.length;
  });
  const call = (id, method, params) => socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  call(1, 'slot.acquire', resume === undefined ? {} : { resume });
  call(2, 'exec.start', { command: text(size), stream: true, timeoutMs: 0, maxOutputBytes: 1024 });
  for (const endMs = performance.now() + SLOW_MS; performance.now() < endMs; ) {
    const before = got;
    socket._socket.resume();
    while (got - before < SLOW_BYTES / 10 && performance.now() < endMs) await delay(5);
    socket._socket.pause();
    await delay(100);
  }
  socket.terminate();
  return got;
}

async function terminal(slot, size) {
  return (await slot.terminal.run({ command: text(size), timeoutMs: 0, maxOutputBytes: 1024 })).outputBytes;
}

if (Object.hasOwn(floods, what)) {
  const [size, url] = given;
  const client = await connect({ url, token: TOKEN });
  const slot = await client.acquire();
  console.log(await floods[what](slot, Number(size), url));
  await client.close();
  process.exit(0);
}

const gateway = await startGateway({ flags: ['--slots', '4', '--grace-ms', '0'] });
const { url } = gateway;
const keeperPid = gateway.keeperPid();
const mib = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const client = await gateway.connect();
const other = await client.acquire();

/** p50 and p99 in ms of a command and of a terminal.run, one after the other, until `over`. */
async function latency(over) {
  const times = { exec: [], terminal: [] };
  while (!over()) {
    for (const [kind, call] of [
      ['exec', () => other.exec.run({ command: 'echo x' })],
      ['terminal', () => other.terminal.run({ command: 'echo x' })],
    ]) {
      const startMs = performance.now();
      await call();
      times[kind].push(performance.now() - startMs);
    }
    await delay(20);
  }
  return Object.fromEntries(
    Object.entries(times).map(([kind, all]) => {
      const sorted = all.sort((a, b) => a - b);
      return [kind, [0.5, 0.99].map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0)];
    }),
  );
}

const shown = (pair) => pair.map((ms) => ms.toFixed(0).padStart(4)).join('/');
const IDLE_MS = 4000;
/** Of a machine that does nothing else of ours: measured around each flood, since it is not the same all day. */
const idling = (ms) => {
  const endMs = performance.now() + ms;
  return latency(() => performance.now() > endMs);
};
await idling(2000);
console.log(
  `${bytes} bytes each; ms of the other slot's calls: idle before and after, and beside the flood (p50/p99)\n`,
);
console.log(
  `${'flood'.padEnd(36)}   s  bytes told   gateway MiB  keeper MiB  exec: idle   flooded    ratio  terminal: idle   flooded    ratio`,
);
const chosen = (name) => given.length === 0 || given.some((part) => name.includes(part));
for (const name of Object.keys(floods).filter(chosen)) {
  const before = await idling(IDLE_MS);
  const most = { gateway: 0, keeper: 0 };
  const sampling = setInterval(() => {
    most.gateway = Math.max(most.gateway, mib(gateway.pid));
    most.keeper = Math.max(most.keeper, mib(keeperPid));
  }, 50);
  const startMs = performance.now();
  let told = '';
  let isOver = false;
  const child = spawn(process.execPath, [new URL(import.meta.url).pathname, name, String(bytes), url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', (text) => (told += text));
  child.once('exit', () => (isOver = true));
  const loaded = await latency(() => isOver);
  clearInterval(sampling);
  const tookS = (performance.now() - startMs) / 1000;
  const after = await idling(IDLE_MS);
  const besides = ['exec', 'terminal'].map((kind) => {
    const idle = [0, 1].map((share) => (before[kind][share] + after[kind][share]) / 2);
    return `${shown(idle)}  ${shown(loaded[kind])}  ${(loaded[kind][0] / idle[0]).toFixed(1).padStart(5)}`;
  });
  console.log(
    `${name.padEnd(36)} ${tookS.toFixed(0).padStart(3)}  ${told.trim().padEnd(11)} ` +
      `${most.gateway.toFixed(0).padStart(10)}  ${most.keeper.toFixed(0).padStart(10)}   ${besides.join('       ')}`,
  );
}
await gateway.close();
