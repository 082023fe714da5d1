import { expect, test } from 'vitest';
import { dataDirOf } from '../../../cli/data-dir.ts';
import { readConfig } from '../../../server/config.ts';

test.each([
  [{ SLOTCAST_DATA_DIR: '/data' }, true],
  [{ NOMAD_ALLOC_DIR: '/alloc' }, true],
  [{}, true],
  [{}, false],
  [{ XDG_DATA_HOME: '/xdg' }, false],
])('the token is looked for where a gateway with %j and root %s puts it', (env, isRoot) => {
  expect(dataDirOf(env, isRoot)).toBe(readConfig({ argv: [], env, isRoot }).dataDir);
});
