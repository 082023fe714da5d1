import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_POLICY } from '../../../../server/keeper/sandbox/policy.ts';
import { probe } from '../../../../server/keeper/sandbox/probe.ts';
import { type Home, makeHome } from '../place-fixture.ts';

let home: Home;
beforeAll(async () => {
  home = await makeHome();
});
afterAll(() => home.remove());

test('finds what the host can, leaving nothing behind', async () => {
  const found = await probe(DEFAULT_POLICY, home.dataDir);
  for (const name of ['sandbox', 'seccomp', 'network', 'processLimit', 'identity', 'bwrap', 'perl', 'prlimit']) {
    expect(found[name], name).toMatchObject({ ok: true });
  }
  expect(readdirSync(join(home.dataDir, 'slots'))).toEqual(['slot_0']);
});

test('every missing thing has a remedy', async () => {
  const { PATH } = process.env;
  process.env['PATH'] = '/nowhere';
  const found = await probe(DEFAULT_POLICY, home.dataDir).finally(() => {
    process.env['PATH'] = PATH;
  });
  expect(found['sandbox']).toMatchObject({ ok: false, remedy: expect.stringContaining('Install the package') });
  for (const capability of Object.values(found)) if (!capability.ok) expect(capability.remedy).toBeTruthy();
});

test('--sandbox none is told as what it is', async () => {
  const found = await probe({ ...DEFAULT_POLICY, sandbox: 'none' }, home.dataDir);
  expect(found['sandbox']).toMatchObject({ ok: false, remedy: 'Start with --sandbox bwrap.' });
  expect(found['seccomp']?.ok).toBe(false);
  expect(found['network']?.ok).toBe(false);
});
