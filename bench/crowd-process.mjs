// Many viewers of one terminal in a process of their own, on bare sockets: they note how old a frame is when it comes.
// Started by startCrowd; run as a program it answers its parent's orders.
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

/** Opened side by side. */
const BATCH = 50;
const SETTLE_MS = 500;
/** So many values stand for all delays. */
const QUANTILES = 1000;
const READ_BYTES = 64 * 1024;

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

/** Opens a WebSocket and no more: a client of `ws` takes as long for each message as the server, and a crowd of them would bound it. */
async function openBare({ url, protocols = [], headers = {}, hello }, onMessage) {
  const { host, hostname, port, pathname } = new URL(url);
  /** Bytes of a message that has not come to its end. */
  let rest = null;
  let answered = null;
  let isOpen = false;
  const take = (bytes) => {
    let whole = rest === null ? bytes : Buffer.concat([rest, bytes]);
    if (!isOpen) {
      const end = whole.indexOf('\r\n\r\n');
      if (end >= 0 && !whole.latin1Slice(0, end).startsWith('HTTP/1.1 101')) throw new Error(whole.latin1Slice(0, end));
      if (end >= 0) {
        isOpen = true;
        whole = whole.subarray(end + 4);
        answered?.();
      }
    }
    let at = 0;
    while (isOpen) {
      const short = whole[at + 1];
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (whole.length < at + head) break;
      const length =
        short === 126 ? whole.readUInt16BE(at + 2) : short === 127 ? Number(whole.readBigUInt64BE(at + 2)) : short;
      if (whole.length < at + head + length) break;
      onMessage(whole, at + head, at + head + length);
      answered?.();
      at += head + length;
    }
    // The buffer is used again for whatever is read next.
    rest = at < whole.length ? Buffer.from(whole.subarray(at)) : null;
  };
  const wait = () =>
    new Promise((resolve) => {
      answered = () => {
        answered = null;
        resolve();
      };
    });
  const onread = { buffer: shared, callback: (count) => take(shared.subarray(0, count)) || true };
  const socket = connect({ host: hostname, port, onread });
  await once(socket, 'connect');
  socket.setNoDelay();
  const said = { host, upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': 13, ...headers };
  said['sec-websocket-key'] = randomBytes(16).toString('base64');
  if (protocols.length > 0) said['sec-websocket-protocol'] = protocols.join();
  const lines = Object.entries(said).map(([name, value]) => `${name}: ${value}\r\n`);
  const opened = wait();
  socket.write(`GET ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await opened;
  if (hello === undefined) return;
  const first = wait();
  // A client's text frame is masked, here with nothing.
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | hello.length, 0, 0, 0, 0]), Buffer.from(hello)]));
  await first;
}

const shared = Buffer.alloc(READ_BYTES);

/** Times are what frames carry: `@µs@`, as the kernel's monotonic clock had it. */
function attend() {
  let delays = [];
  const note = (data, from, end) => {
    const nowUs = Number(process.hrtime.bigint() / 1000n);
    for (let at = data.indexOf(0x40, from); at >= 0 && at < end; ) {
      const to = data.indexOf(0x40, at + 1);
      if (to < 0 || to >= end) break;
      delays.push((nowUs - Number(data.latin1Slice(at + 1, to))) / 1000);
      at = data.indexOf(0x40, to + 1);
    }
  };
  const open = (address) => openBare(address, note);
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
