// What the files of the tokens survive: a cut at any byte, and a disk that is full when they are written.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Tokens } from '../../../server/auth/token.ts';
import { smallDisk } from '../../support/small-disk.ts';

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'slotcast-damage-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const open = (): Promise<Tokens> => Tokens.open({ dataDir });

/** Calls with the file cut after each of its bytes but the last, which is the whole. */
async function forEachCut(name: string, check: (bytes: number) => Promise<void>): Promise<void> {
  const path = join(dataDir, name);
  const whole = readFileSync(path);
  for (let bytes = 0; bytes < whole.length; bytes++) {
    writeFileSync(path, whole.subarray(0, bytes));
    await check(bytes);
  }
  writeFileSync(path, whole);
}

test('a key that was cut at any byte is refused in words, and is not replaced', async () => {
  await open();
  await forEachCut('secret.key', async (bytes) => {
    await expect(open()).rejects.toThrow('secret.key in the data directory is damaged');
    await expect(Tokens.minter({ dataDir })).rejects.toThrow('secret.key in the data directory is damaged');
    expect(readFileSync(join(dataDir, 'secret.key'))).toHaveLength(bytes);
  });
  await open();
});

test('a list of revoked tokens that was cut at any byte is refused in words, and lets none of them in', async () => {
  const tokens = await open();
  const { token, id } = await tokens.mint({ role: 'viewer', slot: null, ttlMs: null });
  await tokens.revoke(id);
  const whole = readFileSync(join(dataDir, 'revoked.json'), 'utf8');
  await forEachCut('revoked.json', async (bytes) => {
    // Without its last line feed it says the same.
    if (bytes === whole.trimEnd().length) await expect((await open()).verify(token)).rejects.toThrow('revoked');
    else await expect(open()).rejects.toThrow('revoked.json in the data directory is damaged');
  });
  await expect((await open()).verify(token)).rejects.toThrow('revoked');
});

test("an admin's token that was cut at any byte is made anew by the key, and nothing else is lost", async () => {
  const tokens = await open();
  const { token } = await tokens.mint({ role: 'viewer', slot: null, ttlMs: null });
  const whole = readFileSync(join(dataDir, 'token'), 'utf8');
  await forEachCut('token', async (bytes) => {
    const again = await open();
    const found = readFileSync(join(dataDir, 'token'), 'utf8').trim();
    if (bytes === whole.trimEnd().length) expect(found).toBe(whole.trim());
    expect(await again.verify(found)).toMatchObject({ role: 'admin' });
    await expect(again.verify(token)).resolves.toMatchObject({ role: 'viewer' });
  });
  expect(readdirSync(dataDir).sort()).toEqual(['secret.key', 'token']);
});

test('a first start on a full disk leaves no half of a key or token behind', async (context) => {
  const disk = smallDisk(context, 1);
  chmodSync(disk.path, 0o711);
  disk.fill();
  await expect(Tokens.open({ dataDir: disk.path })).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(readdirSync(disk.path)).toEqual(['ballast']);
  disk.free();
  await Tokens.open({ dataDir: disk.path });
  expect(readdirSync(disk.path).sort()).toEqual(['secret.key', 'token']);
});

test('a token that is revoked on a full disk opens nothing, who revokes is told, and the end of the gateway tries again', async (context) => {
  const disk = smallDisk(context, 1);
  const first = await Tokens.open({ dataDir: disk.path });
  await first.revoke('tok_before');
  const before = readFileSync(join(disk.path, 'revoked.json'), 'utf8');
  const { token, id } = await first.mint({ role: 'viewer', slot: null, ttlMs: null });
  disk.fill();
  await expect(first.revoke(id)).rejects.toMatchObject({ fault: 'NO_SPACE' });
  await expect(first.verify(token)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  expect(readFileSync(join(disk.path, 'revoked.json'), 'utf8')).toBe(before);
  expect(readdirSync(disk.path).sort()).toEqual(['ballast', 'revoked.json', 'secret.key', 'token']);
  disk.free();
  await first.close();
  await expect((await Tokens.open({ dataDir: disk.path })).verify(token)).rejects.toThrow('revoked');
});
