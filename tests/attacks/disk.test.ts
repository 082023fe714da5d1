// Abuse of the disk: large files, many files, files without a name. The slot is stopped and says so; others and the host go on.
import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { until } from '../support/gateway.ts';
import { attack } from './attack.ts';
import { target as startTarget, targets } from './gateway.ts';

const MIB = 1024 ** 2;
const of = targets({
  flags: ['--max-disk', '150M', '--max-files', '3000', '--max-file-size', '100M', '--max-shm', '8M'],
});

/** Until the slot takes commands again. */
async function emptied(slot: Slot): Promise<void> {
  await expect(slot.exec.run({ timeoutMs: 60_000, command: 'true' })).rejects.toMatchObject({ fault: 'NO_SPACE' });
  await expect(slot.file.write({ path: 'more', data: 'x' })).rejects.toMatchObject({ fault: 'NO_SPACE' });
  for (const { path } of (await slot.file.list()).entries) await slot.file.remove({ path, recursive: true });
  await until(
    'there is room again',
    async () => (await slot.exec.run({ timeoutMs: 60_000, command: 'true' }).catch(() => null)) !== null,
  );
}

async function stoppedMarkers(slot: Slot, client: Awaited<ReturnType<typeof clientOf>>): Promise<string[]> {
  const { markers } = await client.cast.info(slot.cast);
  return markers.map(({ label }) => label).filter((label) => label.startsWith('stopped: '));
}
const clientOf = async (as: Parameters<typeof of>[0]) => await (await of(as)).client();

attack(
  'D04',
  async (as) => {
    const slot = await (await of(as)).slot();
    const fill = async (path: string) =>
      await slot.exec.run({ timeoutMs: 60_000, command: `head -c 20M /dev/zero >${path}` });
    expect((await fill('/dev/shm/x')).stderr).toContain('No space left on device');
    for (const path of ['/dev/x', '/x', '/run/x', '/usr/x'])
      expect((await fill(path)).stderr).toContain('Read-only file system');
    // /tmp is on the disk and counts with the workspace.
    const filled = await slot.exec.run({
      command: 'for i in 1 2 3 4; do head -c 90M /dev/zero >/tmp/$i; done; sleep 50',
    });
    expect(filled).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
    await slot.reset();
    expect((await slot.exec.run({ timeoutMs: 60_000, command: 'ls -A /tmp | wc -l' })).stdout).toBe('0\n');
    await slot.release();
  },
  120_000,
);

attack(
  'D05',
  async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    const large = await slot.exec.run({ timeoutMs: 60_000, command: 'exec dd if=/dev/zero of=large bs=1M count=120' });
    expect(large).toMatchObject({ outcome: 'signaled', signal: 'XFSZ', limit: 'disk' });
    const filling = slot.exec.run({
      timeoutMs: 60_000,
      command: 'for i in $(seq 50); do head -c 50M /dev/zero >$i; done; sleep 50',
    });
    const meanwhile = await other.exec.run({ timeoutMs: 60_000, command: 'echo still here' });
    expect(await filling).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
    expect(meanwhile.stdout).toBe('still here\n');
    expect((await other.exec.run({ timeoutMs: 60_000, command: 'echo and here' })).stdout).toBe('and here\n');
    expect(await stoppedMarkers(slot, await clientOf(as))).toEqual([
      expect.stringMatching(/^stopped: workspace and \/tmp hold [\d.]+ MiB, and may hold 150 MiB$/),
    ]);
    await emptied(slot);
    // The terminal too, with all that runs in it.
    const inTerminal = await slot.terminal.run({
      command: 'for i in $(seq 50); do head -c 50M /dev/zero >$i; done; sleep 50',
    });
    expect(inTerminal.limit).toBe('disk');
    await expect(slot.terminal.run({ timeoutMs: 60_000, command: 'true' })).rejects.toMatchObject({
      fault: 'NO_SPACE',
    });
    await emptied(slot);
    expect((await slot.terminal.run({ timeoutMs: 60_000, command: 'echo back' })).output).toBe('back\n');
    await slot.release();
    await other.release();
  },
  120_000,
);

attack(
  'D06',
  async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    const many = `perl -e 'for my $d (1..200) { mkdir $d; for (1..500) { open my $f, ">", "$d/$_" } } sleep 50'`;
    const [made, meanwhile] = await Promise.all([
      slot.exec.run({ timeoutMs: 60_000, command: many }),
      other.exec.run({ timeoutMs: 60_000, command: 'echo untouched' }),
    ]);
    expect(made).toMatchObject({ outcome: 'signaled', limit: 'disk' });
    expect(meanwhile.stdout).toBe('untouched\n');
    await expect(slot.file.mkdir('one-more')).rejects.toMatchObject({ fault: 'NO_SPACE' });
    await slot.reset();
    expect((await slot.exec.run({ timeoutMs: 60_000, command: 'ls -A | wc -l' })).stdout).toBe('0\n');
    await slot.release();
    await other.release();
  },
  120_000,
);

attack(
  'D21',
  async (as) => {
    const slot = await (await of(as)).slot();
    const data = 'x'.repeat(8 * MIB);
    let written = 0;
    const filling = async () => {
      for (; written < 40; written++) await slot.file.write({ path: `f${written}`, data });
    };
    await expect(filling()).rejects.toMatchObject({ fault: 'NO_SPACE' });
    expect(written).toBe(18);
    const upload = slot.file.upload('up', new Uint8Array(50 * MIB));
    await expect(upload).rejects.toMatchObject({ fault: 'NO_SPACE' });
    expect((await slot.file.list()).entries.map(({ path }) => path)).not.toContain('up');
    await slot.release();
  },
  120_000,
);

attack(
  'D22',
  async (as) => {
    // What no walk finds: a file without a name, that grows as long as somebody has it open. So much is kept free that it is soon too little.
    const { bavail, bsize } = statfsSync(tmpdir());
    const keep = String(bavail * bsize - 200 * MIB);
    const target = await startTarget(as, { flags: ['--min-free-disk', keep] });
    try {
      const slot = await target.slot();
      const nameless = `exec perl -e 'open my $f, "+>", "n"; unlink "n"; my $x = "x" x 1048576; for (1..1500) { syswrite $f, $x; select undef, undef, undef, 0.002 } sleep 50'`;
      const filling = await slot.exec.run({ timeoutMs: 60_000, command: nameless });
      expect(filling).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'disk' });
      expect(await stoppedMarkers(slot, await target.client())).toEqual([
        "stopped: there is little space left on the host's disk",
      ]);
    } finally {
      await target.close();
    }
  },
  120_000,
);

const STRUCK = { outcome: 'signaled', signal: 'KILL', limit: 'disk' };

attack(
  'D64',
  async (as) => {
    const slot = await (await of(as)).slot();
    const names = `perl -e 'open my $f, ">", "f"; for (1..20000) { link "f", "name-$_" or die "$!\\n" } sleep 3'`;
    await slot.exec.run({ timeoutMs: 60_000, command: names });
    // Enough for the file system to be looked at more closely, if it was not yet.
    const measured = await slot.exec
      .run({ timeoutMs: 60_000, command: 'head -c 90M /dev/zero >large; sleep 50' })
      .catch(() => null);
    if (measured !== null) expect(measured).toMatchObject(STRUCK);
    await expect(slot.exec.run({ timeoutMs: 60_000, command: 'true' })).rejects.toThrow(
      /hold 2000\d files, and may hold 3000/,
    );
    await slot.release();
  },
  120_000,
);

attack(
  'D65',
  async (as) => {
    const slot = await (await of(as)).slot();
    // Opened before the directory is shut, and written to afterwards.
    const hidden = `perl -e 'mkdir "d"; my @f = map { open my $f, ">", "d/$_" or die; $f } 1..10; chmod 0, "d";
    my $x = "x" x 1048576; for (1..40) { syswrite $_, $x for @f } sleep 50'`;
    expect(await slot.exec.run({ timeoutMs: 60_000, command: hidden })).toMatchObject(STRUCK);
    await slot.reset();
    // So many complaints that nobody would read a measurement to its end.
    const complaints = `perl -e 'for (1..12) { my $d = "x" x 250; mkdir $d; chdir $d or die } mkdir "y" x 200 . $_, 0 for 1..500'`;
    expect(await slot.exec.run({ timeoutMs: 60_000, command: complaints })).toMatchObject({ exitCode: 0, stderr: '' });
    const filling = 'for i in 1 2 3 4; do head -c 90M /dev/zero >$i; done; sleep 50';
    expect(await slot.exec.run({ timeoutMs: 60_000, command: filling })).toMatchObject(STRUCK);
    await slot.reset();
    expect((await slot.exec.run({ timeoutMs: 60_000, command: 'ls -A' })).stdout).toBe('');
    await slot.release();
  },
  120_000,
);

attack(
  'D66',
  async (as) => {
    const slot = await (await of(as)).slot();
    const nameless = `perl -e 'for (1..40) { open my $f, "+>", "n" or die; unlink "n"; push @kept, $f; syswrite $f, "x" x 10485760 } sleep 50'`;
    expect(await slot.exec.run({ timeoutMs: 60_000, command: nameless })).toMatchObject(STRUCK);
    // They went with the program.
    await until(
      'there is room again',
      async () => (await slot.exec.run({ timeoutMs: 60_000, command: 'true' }).catch(() => null)) !== null,
    );
    await slot.release();
  },
  120_000,
);

attack(
  'D67',
  async (as) => {
    const slot = await (await of(as)).slot();
    // Without a length, so that nothing can be refused before it has come.
    const body = async function* () {
      for (let part = 0; part < 100; part++) yield new Uint8Array(MIB);
    };
    const uploads = Array.from({ length: 8 }, async (_, n) => await slot.file.upload(`f${n}`, body()));
    const ended = await Promise.allSettled(uploads);
    expect(ended.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    const { entries } = await slot.file.list();
    expect(entries.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(150 * MIB);
    // What failed has left its room to others.
    for (const { path } of entries) await slot.file.remove({ path });
    await until('there is room again', async () => {
      const upload = slot.file.upload('again', new Uint8Array(140 * MIB));
      return (await upload.catch(() => null)) !== null;
    });
    await expect(slot.file.upload('announced', new Uint8Array(50 * MIB))).rejects.toMatchObject({ fault: 'NO_SPACE' });
    await slot.release();
  },
  120_000,
);
