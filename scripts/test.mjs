// `npm test -- ARGS`: sets the clone up for tests, then is `vitest run ARGS`. What the caller's environment says to a gateway is no business of the tests.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { main } from './say.mjs';
import { root, setUp } from './setup.mjs';
import { ensureNamespaces, forTests } from './system.mjs';

await main(async () => {
  setUp(forTests);
  ensureNamespaces();
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('SLOTCAST_') || name === 'NOMAD_ALLOC_DIR') delete process.env[name];
  }
  process.chdir(root);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  process.argv = [process.execPath, vitest, 'run', ...process.argv.slice(2)];
  await import(pathToFileURL(vitest).href);
});
