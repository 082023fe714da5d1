// The claim on a data directory: nothing in it that another user has planted is believed or followed.
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClaimError, claimDataDir } from '../../../server/claim.ts';

const STRANGER = 61_234;
const isRoot = process.getuid?.() === 0;
let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'slotcast-claim-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test.runIf(isRoot).each(['secret.key', 'token', 'revoked.json', 'casts', 'slots'])(
  'a %s that another user has put there is refused',
  (name) => {
    writeFileSync(join(dataDir, name), '');
    claimDataDir(dataDir).close();
    chownSync(join(dataDir, name), STRANGER, STRANGER);
    expect(() => claimDataDir(dataDir)).toThrow(ClaimError);
    expect(existsSync(join(dataDir, 'gateway.pid'))).toBe(false);
  },
);

test('a workspace that is a link is refused, and what it leads to is left alone', () => {
  const victim = join(dataDir, 'victim');
  mkdirSync(victim, { mode: 0o755 });
  const { mode, uid } = statSync(victim);
  mkdirSync(join(dataDir, 'slots', 'slot_0'), { recursive: true });
  claimDataDir(dataDir).close();
  symlinkSync(victim, join(dataDir, 'slots', 'slot_0', 'workspace'));
  expect(() => claimDataDir(dataDir)).toThrow(/slot_0\/workspace .* is a link/);
  expect([statSync(victim).mode, statSync(victim).uid]).toEqual([mode, uid]);
});
