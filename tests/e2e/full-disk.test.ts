// The data directory on a disk that is full to its last byte: what a client is told, what stays whole, and that all goes on by itself afterwards.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { startGateway, until } from '../support/gateway.ts';
import { smallDisk } from '../support/small-disk.ts';

async function onSmallDisk(context: TestContext, ...flags: string[]) {
  const disk = smallDisk(context, 24);
  const gateway = await startGateway(
    '--data-dir',
    disk.path,
    '--min-free-disk',
    '0',
    '--log-level',
    'silent',
    ...flags,
  );
  onTestFinished(() => gateway.close());
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  return { disk, gateway, metric };
}

const NO_SPACE = { fault: 'NO_SPACE' };
const PRINT = 'head -c 300000 /dev/urandom | base64\r';

test('strict: what runs is stopped, everything new is refused in words, nothing is torn, and space is all that it takes to go on', async (context) => {
  const { disk, gateway, metric } = await onSmallDisk(context, '--record', 'strict');
  const client = await gateway.client();
  const slot = await client.acquire();
  await slot.file.write({ path: 'kept', data: 'as it was' });
  await slot.terminal.run({ command: 'echo before' });
  const running = await client.call('exec.start', { command: 'sleep 1000' });
  disk.fill();
  await slot.terminal.write(PRINT);
  const ended = await client.call('exec.wait', { process: running.process, timeoutMs: 30_000 });
  expect(ended).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
  await expect(slot.exec.run({ command: 'true' })).rejects.toMatchObject(NO_SPACE);
  await expect(slot.terminal.run({ command: 'true' })).rejects.toMatchObject(NO_SPACE);
  // Not even the half of a script, or of what the shell reads first.
  const spool = join(disk.path, 'slots', slot.name, 'spool');
  await until('nothing is left for the shell', () => readdirSync(spool).length === 0);
  await expect(slot.file.write({ path: 'kept', data: 'x'.repeat(100_000) })).rejects.toMatchObject(NO_SPACE);
  await expect((await gateway.client()).acquire()).rejects.toMatchObject(NO_SPACE);
  const headers = { authorization: `Bearer ${gateway.token}` };
  const revoked = await fetch(`${gateway.url}/tokens/tok_any`, { method: 'DELETE', headers });
  expect([revoked.status, await revoked.text()]).toEqual([507, expect.stringContaining('the disk is full')]);
  expect((await slot.file.readText('kept')).slice(0, 20)).toBe('as it was');
  expect((await slot.file.list()).entries.map(({ path }) => path)).toEqual(['kept']);
  // It is told every few seconds.
  await until('metrics tell', async () => (await metric('slotcast_recordings_failing')) === 1);
  const names = readdirSync(disk.path);
  expect(names.filter((name) => name.includes('draft'))).toEqual([]);
  expect(existsSync(join(disk.path, 'revoked.json'))).toBe(false);
  disk.free();
  await until('it goes on', async () => (await slot.exec.run({ command: 'true' }).catch(() => null)) !== null);
  expect((await slot.terminal.run({ command: 'echo after' })).output).toBe('after\n');
  await until('metrics tell', async () => (await metric('slotcast_recordings_failing')) === 0);
  expect(await metric('slotcast_recording_lost_frames_total')).toBeGreaterThan(0);
  await slot.release();
  const labels = (await client.cast.info(slot.cast)).markers.map(({ label }) => label);
  expect(labels.join('\n')).toMatch(/missing here: the recording could not be written[\s\S]*stopped: the recording/);
  expect(await client.cast.verify(slot.cast)).toMatchObject({ ok: true });
  expect(readFileSync(join(disk.path, 'casts', `${slot.cast}.cast`), 'utf8')).toMatch(/before[\s\S]*after/);
}, 90_000);

test('best-effort: what runs goes on, and the recording says afterwards what is missing', async (context) => {
  const { disk, gateway, metric } = await onSmallDisk(context);
  const client = await gateway.client();
  const slot = await client.acquire();
  await slot.terminal.run({ command: 'echo before' });
  const running = await client.call('exec.start', { command: 'sleep 1000' });
  disk.fill();
  await slot.terminal.write(PRINT);
  await until('the recording fails', async () => (await metric('slotcast_recordings_failing')) === 1);
  expect((await slot.exec.run({ command: 'echo on' })).stdout).toBe('on\n');
  expect(
    (await client.call('exec.list', {})).processes.find(({ process }) => process === running.process),
  ).toMatchObject({ outcome: 'running' });
  disk.free();
  await until('it is written again', async () => (await metric('slotcast_recordings_failing')) === 0);
  await slot.release();
  const labels = (await client.cast.info(slot.cast)).markers.map(({ label }) => label);
  expect(labels.filter((label) => label.includes('missing here'))).toHaveLength(1);
  expect(labels.filter((label) => label.startsWith('stopped'))).toEqual([]);
  expect(await client.cast.verify(slot.cast)).toMatchObject({ ok: true });
}, 90_000);
