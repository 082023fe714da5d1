import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Client } from '../../client/index.ts';
import { playByAsciinema } from '../support/asciinema.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
let agent: Client;
let cast: string;
beforeEach(async () => {
  gateway = await startGateway('--slots', '1');
  agent = await gateway.client();
  ({ cast } = await agent.call('slot.acquire', { label: 'recorded' }));
});
afterEach(() => gateway?.close());

const http = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${gateway.token}`, ...headers } });

test('a lease is recorded with a marker for every command, and sealed at its end', async () => {
  await agent.call('terminal.run', { command: 'echo hello; false' });
  await agent.call('exec.run', { command: 'exit 7' });
  const live = await agent.call('cast.info', { cast });
  expect(live).toMatchObject({ cast, slot: 'slot_0', label: 'recorded', live: true, commands: 2 });
  await agent.call('slot.release', {});
  const info = await agent.call('cast.info', { cast });
  expect(info.live).toBe(false);
  expect(info.markers.filter(({ command }) => command !== undefined)).toMatchObject([
    { command: 'echo hello; false', outcome: 'exited', exitCode: 1 },
    { command: 'exit 7', outcome: 'exited', exitCode: 7 },
  ]);
  const { casts } = await agent.call('cast.list', { label: 'recorded' });
  expect(casts.map((one) => one.cast)).toEqual([cast]);
});

test('the screen at a moment and the frames of a stretch can be read, live and afterwards', async () => {
  await agent.call('terminal.run', { command: 'echo first' });
  const between = (await agent.call('cast.info', { cast })).duration + 0.02;
  await new Promise<void>((resolve) => setTimeout(resolve, 60));
  await agent.call('terminal.run', { command: 'clear; echo second' });
  for (const end of [false, true]) {
    if (end) await agent.call('slot.release', {});
    const early = await agent.call('cast.seek', { cast, time: between });
    expect(early.screen).toContain('first');
    expect(early.screen).not.toContain('second');
    expect((await agent.call('cast.seek', { cast, time: 1e6 })).screen).toContain('second');
    const { frames } = await agent.call('cast.read', { cast, from: 0, to: between });
    expect(frames.map(([, , data]) => data).join('')).toContain('first');
    expect(frames.every(([time]) => time < between)).toBe(true);
  }
});

test('a recording is verified: live it has no seal, sealed it is intact, after a crash too, and a change is found', async () => {
  await agent.call('terminal.run', { command: 'echo as it was' });
  const open = { cast, ok: false, sealed: false, chained: true, hash: null, reason: 'it is still being recorded' };
  expect(await agent.call('cast.verify', { cast })).toMatchObject(open);
  expect((await agent.call('cast.info', { cast })).hash).toBeNull();
  const file = join(gateway.dataDir, 'casts', `${cast}.cast`);
  const viewer = await gateway.mint({ role: 'viewer', cast, ttlMs: 60_000 });
  const stranger = await gateway.mint({ role: 'viewer', slot: 'slot_none', ttlMs: 60_000 });
  const unsealed = readFileSync(file);
  await agent.call('slot.release', {});
  const sound = readFileSync(file);
  const { hash } = await agent.call('cast.info', { cast });
  const intact = { cast, ok: true, sealed: true, chained: true, recovered: false, hash };
  expect(hash).toMatch(/^[\w-]{43}$/);
  expect(await (await gateway.client(viewer)).cast.verify(cast)).toEqual({
    ...intact,
    lines: sound.toString().split('\n').length - 1,
  });
  const refused = (await gateway.client(stranger)).cast.verify(cast);
  await expect(refused).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
  await gateway.restart(() => writeFileSync(file, unsealed.subarray(0, -5)));
  const admin = await gateway.client();
  const recovered = await admin.cast.verify(cast);
  expect(recovered).toMatchObject({ ok: true, sealed: true, recovered: true });
  expect(recovered.hash).not.toBe(hash);
  writeFileSync(file, sound.toString().replace('as it was', 'as I like'));
  const line = sound.subarray(0, sound.indexOf('as it was')).toString().split('\n').length;
  expect(await admin.cast.verify(cast)).toMatchObject({ ok: false, sealed: true, chained: true, hash: null, line });
});

test('what an older version recorded plays on, and is said to have no chain', async () => {
  await agent.call('terminal.run', { command: 'echo from long ago' });
  await agent.call('slot.release', {});
  const old = `${cast}_old`;
  const folder = join(gateway.dataDir, 'casts');
  const lines = readFileSync(join(folder, `${cast}.cast`), 'utf8').split('\n');
  const plain = lines.filter((line) => !line.startsWith('# slotcast link'));
  writeFileSync(join(folder, `${old}.cast`), plain.join('\n').replace(/,"hash":"[^"]+"\}\n$/, '}\n'));
  expect(await agent.cast.verify(old)).toMatchObject({ ok: false, sealed: true, chained: false, hash: null });
  expect((await agent.cast.info(old)).hash).toBeNull();
  const time = 1e6;
  expect(await agent.cast.seek(old, time)).toEqual(await agent.cast.seek(cast, time));
  expect(await agent.cast.read({ cast: old })).toEqual(await agent.cast.read({ cast }));
});

test('the asciinema CLI plays the recording', async () => {
  await agent.call('terminal.run', { command: 'echo played by asciinema' });
  await agent.call('slot.release', {});
  const file = join(gateway.dataDir, 'download.cast');
  writeFileSync(file, await (await http(`/casts/${cast}.cast?format=v2`)).text());
  expect(playByAsciinema(file, gateway.dataDir)).toContain('played by asciinema');
});

test('v3, v2 and txt are served, with ranges', async () => {
  await agent.call('terminal.run', { command: 'printf "\\e[32mgreen\\e[0m\\n"' });
  await agent.call('slot.release', {});
  const v3 = await (await http(`/casts/${cast}.cast`)).text();
  expect(JSON.parse(v3.split('\n')[0] ?? '')).toMatchObject({ version: 3, term: { cols: 120, rows: 40 } });
  const v2 = await (await http(`/casts/${cast}.cast?format=v2`)).text();
  expect(JSON.parse(v2.split('\n')[0] ?? '')).toMatchObject({ version: 2, width: 120, height: 40 });
  const txt = await (await http(`/casts/${cast}.cast?format=txt`)).text();
  expect(txt).toContain('\ngreen\n');
  expect(txt).not.toContain('\x1b');
  const part = await http(`/casts/${cast}.cast`, { range: 'bytes=0-9' });
  expect([part.status, await part.text()]).toEqual([206, v3.slice(0, 10)]);
});

test('the segmented format covers the whole recording', async () => {
  await agent.call('terminal.run', { command: 'seq 2000' });
  await agent.call('slot.release', {});
  const index = (await (await http(`/casts/${cast}/index.json`)).json()) as {
    segments: { start: number; url: string }[];
    duration: number;
  };
  expect(index.segments[0]?.start).toBe(0);
  const segment = (await (await http(`/casts/${cast}/${index.segments[0]?.url}`)).json()) as {
    events: [number, string, string][];
  };
  expect(segment.events.length).toBeGreaterThan(0);
});

test('what a lease did is not in the slot: the recording lies where no sandbox sees it', async () => {
  const found = await agent.call('exec.run', {
    command: `find / -path /usr -prune -o -path /proc -prune -o -name '*.cast' -print 2>/dev/null; ls ${gateway.dataDir} 2>&1`,
  });
  expect(found.stdout + found.stderr).not.toContain(cast);
  expect(found.stdout).not.toContain('secret');
});

test('a gateway that was killed leaves a recording that the next one closes', async () => {
  await agent.call('terminal.run', { command: 'echo survives' });
  const file = join(gateway.dataDir, 'casts', `${cast}.cast`);
  await until('the flush', () => readFileSync(file, 'utf8').includes('survives'));
  const cut = readFileSync(file).subarray(0, -3);
  await gateway.restart(() => writeFileSync(file, cut));
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  for (const line of lines.filter((text) => text.startsWith('['))) JSON.parse(line);
  expect(lines.at(-1)).toMatch(/^# slotcast end/);
  expect(lines.join('\n')).toContain('recording ended without notice');
});

test('no recording holds what was typed unless the operator records it', async () => {
  await agent.call('terminal.keys', { keys: ['read -sp "password: " password', 'Enter'] });
  await agent.call('terminal.wait', { regex: '^password: $', timeoutMs: 5000 });
  await agent.call('terminal.keys', { keys: ['hunter2secret', 'Enter'] });
  expect(await agent.call('terminal.wait', { prompt: true, timeoutMs: 5000 })).toMatchObject({ matched: true });
  expect((await agent.call('terminal.run', { command: 'echo ${#password}' })).output).toBe('13\n');
  await agent.call('slot.release', {});
  for (const file of readdirSync(join(gateway.dataDir, 'casts'))) {
    expect(readFileSync(join(gateway.dataDir, 'casts', file), 'utf8')).not.toContain('hunter2secret');
  }
});

test('/live speaks v1.alis and the asciicast subprotocols', async () => {
  await agent.call('terminal.run', { command: 'echo before' });
  const open = async (protocol: string) => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/live/slot_0`, [protocol], {
      headers: { authorization: `Bearer ${gateway.token}` },
    });
    const messages: Buffer[] = [];
    socket.on('message', (data: Buffer) => messages.push(data));
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return { socket, messages, closed };
  };
  const alis = await open('v1.alis');
  const v2 = await open('v2.asciicast');
  const v3 = await open('v3.asciicast');
  await until('the screens', () => alis.messages.length > 1 && v2.messages.length > 1 && v3.messages.length > 0);
  expect(alis.messages[0]).toEqual(Buffer.from('ALiS\x01', 'latin1'));
  expect(alis.messages[1]?.[0]).toBe(1);
  expect(alis.messages[1]?.toString()).toContain('before');
  expect(JSON.parse(String(v2.messages[0]))).toMatchObject({ version: 2, width: 120, height: 40 });
  expect(JSON.parse(String(v3.messages[0]))).toMatchObject({ version: 3 });
  await agent.call('terminal.run', { command: 'echo after' });
  for (const stream of [alis, v2, v3]) {
    await until('the output', () => Buffer.concat(stream.messages).toString().includes('after'));
  }
  await agent.call('slot.release', {});
  expect(await alis.closed).toBe(4000);
  expect(alis.messages.at(-1)?.[0]).toBe(4);
});
