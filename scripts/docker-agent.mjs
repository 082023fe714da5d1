// The agent of scripts/docker.mjs, in a process of its own since the port may be in another network: drives a slot by client/ and says what it found.
// Ends with an error when anything is not as it should be.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../dist/client/index.js';

/** Between two tries. */
const LOOK_MS = 100;

const client = await connect({ url: process.env.SLOTCAST_URL, token: process.env.SLOTCAST_TOKEN, reconnect: false });
const [, , work, cast, recovered = 'sealed'] = process.argv;
const works = { drive, drain, find, hold };
await works[work]();
await client.close();

/** Files, commands and the terminal, each in its sandbox; prints the recording. */
async function drive() {
  const page = await fetch(process.env.SLOTCAST_URL);
  assert.match(await page.text(), /<script type="module"/);
  const slot = await client.acquire({ label: 'docker' });
  await slot.file.write({ path: 'hello.sh', data: 'echo "hello from $(hostname)"; grep CapEff /proc/self/status' });
  const run = await slot.exec.run({ command: 'bash hello.sh; git --version >&2' });
  assert.equal(run.sandboxed, true);
  assert.equal(run.stdout, 'hello from sandbox\nCapEff:\t0000000000000000\n');
  assert.match(run.stderr, /^git version/);
  const outside = await slot.exec.run({
    command: 'ls /data /opt/slotcast /run/secrets /alloc /secrets; exec 3<>/dev/tcp/127.0.0.1/8080',
  });
  assert.notEqual(outside.exitCode, 0);
  assert.equal(outside.stdout, '');
  const shown = await slot.terminal.run({ command: 'echo kept in the recording' });
  assert.equal(shown.output.trim(), 'kept in the recording');
  process.stdout.write(slot.cast);
  await slot.release();
}

/** Says when the command runs; who reads that stops the gateway, and the result has to come all the same. */
async function drain() {
  const slot = await client.acquire({ label: 'drain' });
  const reply = slot.exec.run({ command: 'sleep 2; echo ended' });
  await slot.terminal.capture();
  process.stdout.write('runs\n');
  const { outcome, stdout } = await reply;
  assert.deepEqual([outcome, stdout], ['exited', 'ended\n']);
}

/**
 * Says the recording when a command runs that would for ever, and then how it ended: somebody kills the keeper, or the gateway. The lease of a
 * keeper that was killed goes on under the next one.
 */
async function hold() {
  const slot = await client.acquire({ label: 'killed' });
  await slot.terminal.run({ command: 'echo kept in the recording' });
  const run = slot.exec.run({ command: 'sleep infinity' });
  await slot.terminal.capture();
  process.stdout.write(`${slot.cast}\n`);
  const how = await run.then(
    ({ outcome }) => outcome,
    (error) => error.fault ?? error.name,
  );
  if (how === 'lost') await again(slot);
  process.stdout.write(how);
}

/** The next keeper takes a moment. */
async function again(slot) {
  try {
    const { stdout } = await slot.exec.run({ command: 'echo again' });
    assert.equal(stdout, 'again\n');
  } catch (error) {
    if (error.fault !== 'SANDBOX_UNAVAILABLE') throw error;
    await delay(LOOK_MS);
    await again(slot);
  }
}

/** What an earlier gateway recorded, whole: `sealed` by it, or `recovered` by this one where it had no time to. */
async function find() {
  const verified = await client.call('cast.verify', { cast });
  assert.deepEqual([verified.ok, verified.recovered], [true, recovered === 'recovered']);
  const { casts } = await client.call('cast.list', { search: 'kept recording' });
  assert.ok(casts.some((one) => one.cast === cast));
}
