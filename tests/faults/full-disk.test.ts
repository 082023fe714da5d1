// kill -9 of gateway and keeper while the disk takes not one byte more: what lived goes on, at the latest when there is room again.
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { until } from '../support/gateway.ts';
import { isAlive, signalTo, startProgram } from '../support/program.ts';
import { smallDisk } from '../support/small-disk.ts';

async function onSmallDisk(context: TestContext, ...flags: string[]) {
  const disk = smallDisk(context, 24);
  const program = await startProgram('--data-dir', disk.path, '--min-free-disk', '0', ...flags);
  onTestFinished(() => program.close());
  const client = await program.client();
  return { disk, program, client, slot: await client.acquire() };
}

test('a gateway that was killed is followed by the next one on a full disk too, and nothing is lost', async (context) => {
  const { disk, program, client, slot } = await onSmallDisk(context);
  const { keeper } = program;
  const run = slot.exec.run({ command: 'echo begun; until [ -e go ]; do sleep 0.05; done; exit 4', timeoutMs: 0 });
  await until('it runs', async () => (await slot.exec.list())[0]?.stdoutBytes === 6);
  disk.fill();
  await program.end('SIGKILL');
  await program.serve();
  expect(program.keeper).toEqual(keeper);
  // A directory takes no byte of this disk.
  await slot.file.mkdir('go');
  expect(await run).toMatchObject({ outcome: 'exited', exitCode: 4, stdout: 'begun\n' });
  disk.free();
  await slot.release();
  expect(await client.cast.verify(slot.cast)).toMatchObject({ ok: true, sealed: true, recovered: false });
}, 60_000);

test.for(['best-effort', 'strict'])(
  'a keeper that was killed on a full disk, %s: what ran is lost, and the lease goes on when there is room',
  { timeout: 60_000 },
  async (record, context) => {
    const { disk, program, client, slot } = await onSmallDisk(context, '--record', record);
    const { cast } = slot;
    const verify = () => client.cast.verify(cast);
    await slot.file.write({ path: 'kept', data: 'as it was' });
    const run = slot.exec.run({ command: 'sleep 60', key: 'lost', timeoutMs: 0 });
    await until('it runs', async () => (await slot.exec.list()).length === 1);
    const former = program.keeper;
    disk.fill();
    signalTo(former, 'SIGKILL');
    expect(await run).toMatchObject({ outcome: 'lost', exitCode: null });
    await until('it was tried', () => program.said.stderr.includes('could not go on with the new keeper'));
    expect(isAlive(program.keeper)).toBe(true);
    await expect(slot.exec.run({ command: 'true' })).rejects.toMatchObject({ fault: 'SANDBOX_UNAVAILABLE' });
    disk.free();
    await until('it goes on', async () => (await slot.info()).cast !== cast);
    expect(await slot.exec.run({ command: 'cat kept' })).toMatchObject({ exitCode: 0, stdout: 'as it was' });
    expect(await slot.exec.run({ command: 'sleep 60', key: 'lost', timeoutMs: 0 })).toMatchObject({ outcome: 'lost' });
    expect(await slot.terminal.run({ command: 'echo on' })).toMatchObject({ output: 'on\n' });
    // The disk was too full for its end.
    await until('its recording is sealed', async () => (await verify()).sealed);
    expect(await verify()).toMatchObject({ ok: true, recovered: true });
    expect((await client.cast.info(cast)).markers.at(-1)?.label).toMatch(/without notice/);
    await slot.release();
  },
);
