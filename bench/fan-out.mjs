// One terminal that prints sixty times a second, and its crowd: how it is printed, and the addresses at which one looks.
import WebSocket from 'ws';
import { TOKEN } from './gateway.mjs';

export const HZ = 60;

/** Prints the time so often, each a frame of its own. */
export const ticks = (ms) =>
  `perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC,sleep -e '$|=1; my $b = clock_gettime(CLOCK_MONOTONIC);` +
  ` for my $n (1..${Math.round((ms * HZ) / 1000)}) { my $w = $b + $n/${HZ} - clock_gettime(CLOCK_MONOTONIC);` +
  ` sleep $w if $w > 0; printf "\\100%d\\100\\n", clock_gettime(CLOCK_MONOTONIC) * 1e6 }'`;

const headers = { authorization: `Bearer ${TOKEN}` };

/** As the SDK looks. */
export const watchAddress = (gateway, slot) => ({
  url: `${gateway.url.replace('http', 'ws')}/ws`,
  protocols: ['slotcast.v1'],
  headers,
  hello: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'watch.start', params: { slot: slot.name } }),
});

/** As players look. */
export const liveAddress = (gateway, slot) => ({
  url: `${gateway.url.replace('http', 'ws')}/live/${slot.name}`,
  protocols: ['v1.alis'],
  headers,
});

/** A viewer that never reads what it is sent. */
export async function stuckViewer({ url, protocols, hello }) {
  const socket = new WebSocket(url, protocols, { headers });
  await new Promise((resolve) => socket.once('open', resolve));
  if (hello) socket.send(hello);
  socket._socket.pause();
  return { close: () => socket.terminate() };
}

/** All delays of the crowd while the slot prints. */
export async function watched(crowd, slot, ms) {
  await crowd.begin();
  await slot.terminal.run({ command: ticks(ms), timeoutMs: 0 });
  // The last frames are still under way.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return await crowd.end();
}
