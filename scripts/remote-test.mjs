// The end-to-end tests and the attacks against a gateway that runs elsewhere, as SLOTCAST_TEST_URL and SLOTCAST_TEST_TOKEN name it: what the
// service `test` of docker-compose.yml does. Empties every slot of that gateway; never point it at one that is in use. Or, by
// SLOTCAST_TEST_INSIDE, the attacks against gateways that they start where they are themselves: the service `test-inside`.
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

/** Four times of what they take at most where they start gateways of their own. */
const PATIENCE_MS = 120_000;

await main(async () => {
  const { SLOTCAST_TEST_URL: given, SLOTCAST_TEST_INSIDE: inside } = process.env;
  if ((given === undefined) === (inside === undefined))
    throw new SetupError('SLOTCAST_TEST_URL names no gateway. Try: docker compose run --rm test');
  const env = { ...process.env, ...(given === undefined ? {} : { SLOTCAST_TEST_URL: await byAddress(given) }) };
  const suites = inside === undefined ? ['tests/e2e', 'tests/attacks'] : ['tests/attacks'];
  if (inside === undefined)
    for (const [file, why] of Object.entries(ELSEWHERE)) say(`not tried here: ${file} (${why})`);
  const paths = process.argv.slice(2);
  const args = [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    ...(paths.length === 0 ? suites : paths),
    ...Object.keys(ELSEWHERE).map((file) => `--exclude=${file}`),
    // Whoever runs them may not know how busy the gateway's host is; one that hangs still ends.
    `--testTimeout=${PATIENCE_MS}`,
    `--hookTimeout=${PATIENCE_MS}`,
    // They share one gateway, or the memory of one.
    '--no-file-parallelism',
    // Without a file beside the settings: the sources need not be this user's.
    '--configLoader=runner',
    '--reporter=default',
    // Of some files it would say that the others were not tried.
    ...(paths.length === 0 ? ['--reporter=./tests/attacks/table.ts'] : []),
  ];
  process.exitCode = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status ?? 1;
});

/** The gateway answers to addresses, and to the names that its operator allows. */
async function byAddress(name) {
  const url = new URL(name);
  url.hostname = (await lookup(url.hostname, { family: 4 })).address;
  return url.href.replace(/\/$/, '');
}
