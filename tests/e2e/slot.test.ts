import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { alone } from '../support/remote.ts';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await startGateway('--slots', '2');
});
afterEach(() => gateway?.close());

test('acquire gives any free slot, then says that the pool is full', async () => {
  const [a, b, c] = await Promise.all([gateway.client(), gateway.client(), gateway.client()]);
  const first = await a.call('slot.acquire', { label: 'a' });
  const second = await b.call('slot.acquire', {});
  expect(new Set([first.slot, second.slot])).toEqual(new Set(['slot_0', 'slot_1']));
  expect(first).toMatchObject({ workspace: '/workspace', resumed: false, sandboxed: true, network: 'none' });
  await expect(c.call('slot.acquire', {})).rejects.toMatchObject({ fault: 'NO_FREE_SLOT' });
  await expect(c.call('slot.acquire', { slot: first.slot })).rejects.toMatchObject({ fault: 'SLOT_BUSY' });
  await expect(c.call('slot.acquire', { slot: 'slot_77' })).rejects.toMatchObject({ fault: 'SLOT_NOT_FOUND' });
  await a.call('slot.release', {});
  expect((await c.call('slot.acquire', {})).slot).toBe(first.slot);
});

test('calls without a slot are NOT_BOUND', async () => {
  const client = await gateway.client();
  await expect(client.call('exec.run', { command: 'true' })).rejects.toMatchObject({ fault: 'NOT_BOUND' });
});

test('one connection drives one slot', async () => {
  const client = await gateway.client();
  await client.call('slot.acquire', {});
  await expect(client.call('slot.acquire', {})).rejects.toMatchObject({ fault: 'SLOT_BUSY' });
});

test('release empties the slot; with reset false the files stay for the next lease', async () => {
  const client = await gateway.client();
  await client.call('slot.acquire', { slot: 'slot_0' });
  await client.call('exec.run', { command: 'echo kept > f; echo tmp > /tmp/f' });
  await client.call('slot.release', { reset: false });
  await client.call('slot.acquire', { slot: 'slot_0' });
  expect((await client.call('exec.run', { command: 'cat f /tmp/f' })).stdout).toBe('kept\ntmp\n');
  await client.call('slot.release', {});
  await client.call('slot.acquire', { slot: 'slot_0' });
  expect((await client.call('exec.run', { command: 'ls -A . /tmp' })).stdout).toBe('.:\n\n/tmp:\n');
});

test('reset stops everything and empties the place, and the lease goes on', async () => {
  const client = await gateway.client();
  const { cast } = await client.call('slot.acquire', {});
  await client.call('terminal.run', { command: 'export X=1; touch a' });
  const { process } = await client.call('exec.start', { command: 'sleep 1000' });
  await client.call('slot.reset', {});
  expect((await client.call('exec.wait', { process })).outcome).toBe('signaled');
  expect((await client.call('terminal.run', { command: 'echo "<$X>"; ls -A' })).output).toBe('<>\n');
  expect((await client.call('slot.info', {})).cast).toBe(cast);
});

test('reset gets through a hostile tree', async () => {
  const client = await gateway.client();
  await client.call('slot.acquire', {});
  const made = await client.call('exec.run', {
    command: `ln -s / root; ln -s . loop; mkdir sealed; touch sealed/x; chmod 0 sealed; mkfifo p
      d=.; for i in $(seq 300); do mkdir dddddddddddddddddddd && cd dddddddddddddddddddd; done; touch end`,
  });
  expect(made.exitCode).toBe(0);
  await client.call('slot.reset', {});
  expect((await client.call('exec.run', { command: 'ls -A' })).stdout).toBe('');
});

test('a dropped connection loses nothing: processes, terminal and lease go on until resumed', async () => {
  const client = await gateway.client();
  const { slot, resume, lease } = await client.call('slot.acquire', { graceMs: 60_000 });
  await client.call('terminal.run', { command: 'cd /tmp; x=42' });
  const { process } = await client.call('exec.start', {
    command: 'until test -e /tmp/go; do sleep 0.02; done; echo done; exit 4',
  });
  await client.close();
  const watcher = await gateway.client();
  await until('the gateway to see it', async () => !(await watcher.call('slot.info', { slot })).connected);
  const again = await gateway.client();
  expect(await again.call('slot.acquire', { resume })).toMatchObject({ slot, lease, resumed: true });
  await again.call('file.list', {});
  await again.call('exec.run', { command: 'touch /tmp/go' });
  expect(await again.call('exec.wait', { process })).toMatchObject({
    outcome: 'exited',
    exitCode: 4,
    stdout: 'done\n',
  });
  expect((await again.call('terminal.run', { command: 'pwd; echo $x' })).output).toBe('/tmp\n42\n');
});

test('output streamed while nobody was connected arrives after the resume, each byte once', async () => {
  const client = await gateway.client();
  const { resume } = await client.call('slot.acquire', {});
  let got = '';
  client.on('exec.output', ({ data }) => {
    got += data;
  });
  const command = 'echo first; until test -e /tmp/go; do sleep 0.02; done; echo second';
  const { process } = await client.call('exec.start', { command, stream: true });
  await until('first', () => got === 'first\n');
  await client.close();
  const again = await gateway.client();
  const outputs: { offset: number; data: string }[] = [];
  const exited = new Promise<unknown>((resolve) => again.on('exec.exit', resolve));
  again.on('exec.output', (output) => outputs.push(output));
  await again.call('slot.acquire', { resume, received: { [process]: { stdout: 6, stderr: 0 } } });
  await again.call('exec.run', { command: 'touch /tmp/go' });
  await exited;
  expect(outputs.map(({ offset, data }) => [offset, data])).toEqual([[6, 'second\n']]);
});

test('the end of a command that came while nobody was connected is told after the resume', async () => {
  const client = await gateway.client();
  const { resume, slot } = await client.call('slot.acquire', {});
  const { process } = await client.call('exec.start', {
    command: 'until test -e /tmp/go; do sleep 0.02; done; exit 6',
  });
  await client.call('file.mkdir', { path: 'x' });
  await client.close();
  const watcher = await gateway.client();
  await until('the loss', async () => !(await watcher.call('slot.info', { slot })).connected);
  writeFileSync(join(gateway.dataDir, 'slots', slot, 'tmp', 'go'), '');
  await until('the end', async () => (await watcher.call('slot.info', { slot })).processes === 0);
  const again = await gateway.client();
  const exit = new Promise<unknown>((resolve) => again.on('exec.exit', resolve));
  await again.call('slot.acquire', { resume });
  expect(await exit).toMatchObject({ process, outcome: 'exited', exitCode: 6 });
});

test('after the grace time the lease is gone, the slot is emptied and free', async () => {
  const client = await gateway.client();
  const { slot, resume } = await client.call('slot.acquire', { graceMs: 100 });
  await client.call('exec.run', { command: 'touch left' });
  await client.close();
  const other = await gateway.client();
  await until('free', async () => (await other.call('slot.info', { slot })).state === 'free');
  await expect(other.call('slot.acquire', { resume })).rejects.toMatchObject({ fault: 'RESUME_GONE' });
  await other.call('slot.acquire', { slot });
  expect((await other.call('file.list', {})).entries).toEqual([]);
});

test('takeover closes the former connection with 4409 and keeps what runs', async () => {
  const agent = await gateway.client();
  const { slot, resume } = await agent.call('slot.acquire', { label: 'mine' });
  await agent.call('terminal.run', { command: 'x=kept' });
  const closed = new Promise<number>((resolve) => agent.on('disconnected', ({ code }) => resolve(code)));
  const person = await gateway.client();
  expect(await person.call('slot.takeover', { slot })).toMatchObject({ slot, resumed: true });
  expect(await closed).toBe(4409);
  expect((await person.call('terminal.run', { command: 'echo $x' })).output).toBe('kept\n');
  const third = await gateway.client();
  await expect(third.call('slot.acquire', { resume })).rejects.toMatchObject({
    fault: 'SLOT_BUSY',
    data: { retry: 'after', takenOver: true },
  });
});

test('the network is what the operator set and can only be narrowed', async () => {
  const client = await gateway.client();
  await expect(client.call('slot.acquire', { network: 'host' })).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  await client.call('slot.acquire', { network: 'none' });
  const { stdout } = await client.call('exec.run', {
    command: 'ls /sys/class/net 2>/dev/null; cat /proc/net/dev | tail -n +3 | cut -d: -f1',
  });
  expect(stdout.trim()).toBe('lo');
});

test('slot.list shows what runs, and slots.changed tells of it', async () => {
  alone();
  const watcher = await gateway.client();
  const changes: { slot: string; state: string; processes: number }[] = [];
  watcher.on('slots.changed', ({ slots }) => changes.push(...slots));
  const { slots } = await watcher.call('watch.slots', { on: true });
  expect(slots.map(({ state }) => state)).toEqual(['free', 'free']);
  const client = await gateway.client();
  const { slot } = await client.call('slot.acquire', { label: 'shown' });
  await client.call('terminal.start', {});
  const { process } = await client.call('exec.start', { command: 'sleep 1000' });
  await until('the news', () => changes.some((change) => change.slot === slot && change.processes === 1));
  const info = await watcher.call('slot.info', { slot });
  expect(info).toMatchObject({ label: 'shown', state: 'leased', running: 'sleep 1000', connected: true });
  expect(info.terminal).toMatchObject({ cols: 120, rows: 40 });
  await client.call('exec.signal', { process, signal: 'KILL' });
});

test('a host directory given by --mount is in every slot', async () => {
  const { mkdtemp, rm, writeFile, chmod } = await import('node:fs/promises');
  const dir = await mkdtemp('/tmp/slotcast-mount-');
  await chmod(dir, 0o755);
  await writeFile(`${dir}/shared.txt`, 'from the host\n');
  const mounted = await startGateway('--mount', `${dir}:/data/repo_cache:ro`);
  try {
    const client = await mounted.client();
    await client.call('slot.acquire', {});
    const result = await client.call('exec.run', {
      command: 'cat /data/repo_cache/shared.txt; touch /data/repo_cache/x',
    });
    expect(result).toMatchObject({ stdout: 'from the host\n', exitCode: 1 });
    expect(result.stderr).toContain('Read-only file system');
  } finally {
    await mounted.close();
    await rm(dir, { recursive: true });
  }
});

test('what is just being started when a lease ends never runs in the place of the next one', async () => {
  for (let round = 0; round < 4; round++) {
    const former = await gateway.client();
    await former.call('slot.acquire', { slot: 'slot_0' });
    const command = 'for i in $(seq 40); do touch planted$RANDOM /tmp/planted$RANDOM; sleep 0.02; done';
    const starts = Array.from({ length: 8 }, () => former.call('exec.start', { command }).catch(() => null));
    await former.call('slot.release', {});
    await Promise.all(starts);
    await former.close();
    const next = await gateway.client();
    await next.call('slot.acquire', { slot: 'slot_0' });
    expect((await next.call('exec.run', { command: 'sleep 0.1; ls -A . /tmp' })).stdout).toBe('.:\n\n/tmp:\n');
    await next.call('slot.release', {});
  }
});

test('a terminal.run that waits its turn does not run in a place that is being emptied', async () => {
  const client = await gateway.client();
  await client.call('slot.acquire', {});
  const runs = Array.from({ length: 4 }, () =>
    client.call('terminal.run', { command: 'sleep 0.2; touch late' }).catch(() => null),
  );
  await client.call('slot.reset', {});
  await Promise.all(runs);
  expect((await client.call('slot.info', {})).state).toBe('leased');
});

test('a slot is not handed out twice when it is reset while somebody acquires it', async () => {
  const admin = await gateway.client();
  const [a, b] = await Promise.all([gateway.client(), gateway.client()]);
  const both = await Promise.allSettled([
    a.call('slot.acquire', { slot: 'slot_1' }),
    admin.call('slot.reset', { slot: 'slot_1' }),
    b.call('slot.acquire', { slot: 'slot_1' }),
  ]);
  const holders = [both[0], both[2]].filter(({ status }) => status === 'fulfilled');
  expect(holders).toHaveLength(1);
});

test('two acquires sent at once by one connection give it one slot', async () => {
  const client = await gateway.client();
  const both = await Promise.allSettled([client.call('slot.acquire', {}), client.call('slot.acquire', {})]);
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a lease that was acquired while the former one was being released ends with its connection', async () => {
  const client = await gateway.client();
  await client.call('slot.acquire', { slot: 'slot_0' });
  const [, again] = await Promise.all([
    client.call('slot.release', {}),
    client.call('slot.acquire', { slot: 'slot_1', graceMs: 50 }),
  ]);
  await client.call('exec.run', { command: 'true' });
  await client.close();
  const watcher = await gateway.client();
  await until('free', async () => (await watcher.call('slot.info', { slot: again.slot })).state === 'free');
});

test('a connection that was taken over is not listened to, even if it does not say goodbye', async () => {
  const former = await open();
  const acquired = (await ask(former, 1, 'slot.acquire', { slot: 'slot_0' })) as { result: { slot: string } };
  expect(acquired.result.slot).toBe('slot_0');
  const taker = await gateway.client();
  // Frames of the server are not read from here on, its goodbye neither.
  former.pause();
  await taker.call('slot.takeover', { slot: 'slot_0' });
  former.send(JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'file.write', params: { path: 'late', data: 'x' } }));
  former.send(JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'slot.release', params: {} }));
  await taker.call('exec.run', { command: 'sleep 0.3' });
  expect((await taker.call('file.list', {})).entries).toEqual([]);
  former.terminate();
});

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, 'slotcast.v1', {
    headers: { authorization: `Bearer ${gateway.token}` },
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

function ask(socket: WebSocket, id: number, method: string, params: object): Promise<unknown> {
  const reply = new Promise((resolve) => socket.once('message', (data) => resolve(JSON.parse(String(data)))));
  socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  return reply;
}
