// Many viewers of one terminal in a process of their own, on bare sockets: they note how old a frame is when it comes.
// Started by startCrowd; run as a program it answers its parent's orders.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import WebSocket from 'ws';

/** Opened side by side. */
const BATCH = 50;
const SETTLE_MS = 500;
/** So many values stand for all delays. */
const QUANTILES = 1000;

/** `address`: {url, protocols, headers, hello}; hello is sent first, and its answer waited for. */
export async function startCrowd(address, count) {
  const child = fork(new URL(import.meta.url).pathname, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ask = async (order) => {
    child.send(order);
    const [answer] = await once(child, 'message');
    return answer;
  };
  await ask({ kind: 'open', address, count });
  return {
    /** Forgets what was noted so far. */
    begin: () => ask({ kind: 'begin' }),
    /** ms of all deliveries since, as their quantiles, and how many there were. */
    end: () => ask({ kind: 'end' }),
    close: async () => {
      if (!child.connected) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

/** Times are what frames carry: `@µs@`, as the kernel's monotonic clock had it. */
function attend() {
  let delays = [];
  const sockets = [];
  const note = (data) => {
    const nowUs = Number(process.hrtime.bigint() / 1000n);
    for (let at = data.indexOf(0x40); at >= 0; ) {
      const end = data.indexOf(0x40, at + 1);
      if (end < 0) break;
      delays.push((nowUs - Number(data.latin1Slice(at + 1, end))) / 1000);
      at = data.indexOf(0x40, end + 1);
    }
  };
  const open = async ({ url, protocols, headers, hello }) => {
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false });
    await once(socket, 'open');
    if (hello) {
      socket.send(hello);
      await once(socket, 'message');
    }
    socket.on('message', note);
    sockets.push(socket);
  };
  process.on('message', async ({ kind, address, count }) => {
    if (kind === 'open') {
      for (let left = count; left > 0; left -= BATCH) {
        await Promise.all(Array.from({ length: Math.min(BATCH, left) }, () => open(address)));
      }
      // What each is given first is there.
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      process.send('open');
    } else if (kind === 'begin') {
      delays = [];
      process.send('begun');
    } else {
      const sorted = delays.filter((ms) => Number.isFinite(ms)).sort((a, b) => a - b);
      const quantiles = Array.from(
        { length: Math.min(QUANTILES, sorted.length) },
        (_, at) => sorted[Math.floor(((at + 0.5) / QUANTILES) * sorted.length)],
      );
      process.send({ quantiles, count: sorted.length });
    }
  });
  process.once('disconnect', () => process.exit(0));
}

if (process.argv[1] === new URL(import.meta.url).pathname) attend();
