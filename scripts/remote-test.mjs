// The end-to-end tests and the attacks against a gateway that runs elsewhere, as SLOTCAST_TEST_URL and SLOTCAST_TEST_TOKEN name it: what the
// service `test` of docker-compose.yml does. Empties every slot of that gateway; never point it at one that is in use.
import { spawnSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { main, SetupError, say } from './say.mjs';
import { root } from './setup.mjs';

/** Files that start other programs on a host of their own. */
const ELSEWHERE = {
  'tests/e2e/clock.test.ts': "sets a gateway's clock",
  'tests/e2e/start.test.ts': 'sets clones up',
  'tests/e2e/systemd.test.ts': 'is a service manager',
};

await main(async () => {
  const { SLOTCAST_TEST_URL: given } = process.env;
  if (given === undefined)
    throw new SetupError('SLOTCAST_TEST_URL names no gateway. Try: docker compose run --rm test');
  const url = new URL(given);
  // The gateway answers to addresses, and to the names that its operator allows.
  url.hostname = (await lookup(url.hostname, { family: 4 })).address;
  for (const [file, why] of Object.entries(ELSEWHERE)) say(`not tried here: ${file} (${why})`);
  const paths = process.argv.slice(2);
  const args = [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    ...(paths.length === 0 ? ['tests/e2e', 'tests/attacks'] : paths),
    ...Object.keys(ELSEWHERE).map((file) => `--exclude=${file}`),
    // They share one gateway.
    '--no-file-parallelism',
    // Without a file beside the settings: the sources need not be this user's.
    '--configLoader=runner',
    '--reporter=default',
    '--reporter=./tests/attacks/table.ts',
  ];
  const env = { ...process.env, SLOTCAST_TEST_URL: url.href.replace(/\/$/, '') };
  process.exitCode = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status ?? 1;
});
