// Real traffic to damage: what a client sends over a whole episode, written down by a proxy that it goes through. It changes nothing on the way.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket as Socket, WebSocket, WebSocketServer } from 'ws';
import { connect } from '../../client/index.ts';
import type { TestGateway } from '../support/gateway.ts';

/** Every message that the client sent, as it was on the wire. */
export async function recordTraffic(gateway: TestGateway): Promise<string[]> {
  const said: string[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'slotcast.v1' });
  sockets.on('connection', (socket, request) => {
    const authorization = request.headers.authorization ?? `Bearer ${gateway.token}`;
    join(socket, gateway, authorization, said);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await episode(`http://127.0.0.1:${port}`, gateway.token);
  } finally {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    server.close();
    server.closeAllConnections();
  }
  return said;
}

function join(client: Socket, gateway: TestGateway, authorization: string, said: string[]): void {
  const upstream = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, ['slotcast.v1'], {
    headers: { authorization },
  });
  const early: string[] = [];
  client.on('message', (data) => {
    const text = String(data);
    said.push(text);
    if (upstream.readyState === upstream.OPEN) upstream.send(text);
    else early.push(text);
  });
  upstream.on('open', () => {
    for (const text of early) upstream.send(text);
  });
  upstream.on('message', (data) => client.send(String(data)));
  upstream.on('close', () => client.close());
  upstream.on('error', () => client.terminate());
  client.on('close', () => upstream.close());
}

/** A bit of everything that an agent and a page do. */
async function episode(url: string, token: string): Promise<void> {
  const client = await connect({ url, token });
  try {
    await client.call('server.info', {});
    await client.call('watch.slots', { on: true, screens: true });
    const { cast, slot } = await client.call('slot.acquire', { label: 'fuzz é', graceMs: 1000 });
    const { watch } = await client.call('watch.start', { slot, since: 0, cast });
    await client.call('exec.run', {
      command: 'echo out; echo err >&2; exit 3',
      env: { A: 'b' },
      cwd: '.',
      timeoutMs: 5000,
    });
    await client.call('exec.run', { argv: ['printf', '%s', 'é'], key: 'k1', maxOutputBytes: 10, stream: true });
    const { process } = await client.call('exec.start', { command: 'cat; sleep 5', stdin: 'open', stream: true });
    await client.call('exec.write', { process, data: 'aGkK', encoding: 'base64' });
    await client.call('exec.wait', { process, timeoutMs: 10 });
    await client.call('exec.signal', { process, signal: 'TERM' });
    await client.call('exec.wait', { process });
    await client.call('exec.list', {});
    await client.call('terminal.start', { cols: 80, rows: 24, env: { B: 'c' } });
    await client.call('terminal.run', { command: 'cd /tmp; echo hi', timeoutMs: 5000 });
    await client.call('terminal.resize', { cols: 100, rows: 30 });
    await client.call('terminal.write', { data: 'echo typed' });
    await client.call('terminal.keys', { keys: ['Enter', 'C-c', 'text'] });
    await client.call('terminal.wait', { regex: '\\$ $', timeoutMs: 200 });
    await client.call('terminal.wait', { idleMs: 20, timeoutMs: 500 });
    await client.call('terminal.capture', { history: 5, format: 'ansi' });
    const { sha256 } = await client.call('file.write', { path: 'd/a.txt', data: 'text', mode: 0o600 });
    await client.call('file.write', { path: 'd/a.txt', data: 'bW9yZQ==', encoding: 'base64', expectedSha256: sha256 });
    await client.call('file.read', { path: '/workspace/d/a.txt', offset: 1, maxBytes: 2 });
    await client.call('file.list', { path: '.', recursive: true });
    await client.call('file.stat', { path: 'd' });
    await client.call('file.mkdir', { path: 'e/f' });
    await client.call('file.move', { from: 'd/a.txt', to: 'e/b.txt', overwrite: true });
    await client.call('artifact.archive', { path: 'e', format: 'zip' });
    await client.call('file.remove', { path: 'e', recursive: true });
    await client.call('cast.list', { slot, limit: 5, search: 'echo' });
    await client.call('cast.info', { cast });
    await client.call('cast.seek', { cast, time: 0.05, text: true });
    await client.call('cast.read', { cast, from: 0, to: 1 });
    await client.call('cast.output', { cast, process: 'p1' });
    await client.batch([
      { method: 'exec.run', params: { command: 'true' } },
      { method: 'file.list', params: {} },
      { method: 'file.stat', params: { path: 'nowhere' } },
    ]);
    await client.call('watch.stop', { watch });
    const abort = new AbortController();
    const cancelled = client.call('exec.run', { command: 'sleep 100' }, { signal: abort.signal }).catch(() => null);
    abort.abort();
    await cancelled;
    await client.call('terminal.stop', {});
    await client.call('slot.info', {});
    await client.call('slot.reset', {});
    await client.call('slot.release', {});
  } finally {
    await client.close();
  }
}
