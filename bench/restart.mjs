// `node bench/restart.mjs [TIMES=10] [MB=0] [SLOTS=20]` after a build: kill -9 of a gateway in the middle of as many running commands and busy
// terminals, time and again. Tells how long the next one takes until an agent has resumed, and checks that nothing is missing: every byte of
// every recording, and how what ended meanwhile has ended. MB: what each recording holds before. Exits with 1 when something is missing.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../dist/client/index.js';
import { memoryMiB, Program, sleep, TOKEN } from './chaos/program.mjs';
import { printHistory } from './history.mjs';
import { peerOf } from './restart/peer.mjs';
import { quantile, until } from './sample.mjs';

const [times, mb, slots] = [process.argv[2] ?? 10, process.argv[3] ?? 0, process.argv[4] ?? 20].map(Number);
/** Half of the commands end within it, while there is no gateway. */
const AWAY_MS = 500;
const START_MS = 60_000;
/** Prints numbered lines a hundred times a second, and writes the same bytes to a file: what the recording has to hold. */
const PRINTING = `perl -MIO::Handle -e 'open F, ">", "said"; $| = 1; F->autoflush;
while (! -e "stop") { $line = "line ".++$n." of what is printed\\n"; print $line; print F $line; select undef, undef, undef, 0.01 }'; echo over`;

const home = mkdtempSync(join(tmpdir(), 'slotcast-restart-'));
chmodSync(home, 0o711);
const port = await freePort();
const flags = ['--slots', String(slots), '--grace-ms', '600000'];
const program = new Program({ dataDir: home, port, flags, env: {} });
const wrong = [];
try {
  await program.start();
  const leases = await begin();
  const rounds = [];
  for (let round = 0; round < times; round++) {
    rounds.push(await restart(leases));
    await sleep(500);
  }
  await finish(leases);
  report(rounds);
} finally {
  await end();
}
process.exitCode = wrong.length === 0 ? 0 : 1;

/** Leases with a busy terminal each; their connection is closed. */
async function begin() {
  const client = await connect({ url: `http://127.0.0.1:${port}`, token: TOKEN });
  const leases = await Promise.all(
    Array.from({ length: slots }, async () => {
      const one = await connect({ url: `http://127.0.0.1:${port}`, token: TOKEN });
      const slot = await one.acquire();
      const { name, resume, cast } = slot;
      if (mb > 0) await printHistory(slot, mb * 2 ** 20);
      await slot.terminal.start();
      await slot.file.write({ path: '.print', data: PRINTING });
      await slot.terminal.write('clear; . ./.print\r');
      await until('it prints', async () => (await slot.terminal.capture()).text.includes('line 1'));
      await one.close();
      return { name, resume, cast };
    }),
  );
  await client.close();
  return leases;
}

/** Kills the gateway, waits until some commands have ended, and measures the next one. */
async function restart(leases) {
  const before = await Promise.all(
    leases.map(async (lease) => {
      const peer = await peerOf(port, performance.now() + START_MS);
      await peer.call('slot.acquire', { resume: lease.resume });
      return peer;
    }),
  );
  const commands = await Promise.all(
    before.map(async (peer, index) => {
      const seconds = index % 2 === 0 ? AWAY_MS / 1000 / 2 : (AWAY_MS / 1000) * 8;
      const command = `echo begun; sleep ${seconds}; echo ended; exit ${index}`;
      return await peer.call('exec.start', { command, timeoutMs: 0 });
    }),
  );
  const keeper = program.keeper;
  await program.end('SIGKILL');
  for (const peer of before) peer.close();
  await sleep(AWAY_MS);
  const beganMs = performance.now();
  const since = () => performance.now() - beganMs;
  const starting = program.start();
  const one = await peerOf(port, beganMs + START_MS);
  const listensMs = since();
  await one.call('slot.acquire', { resume: leases[0].resume });
  const firstMs = since();
  const peers = [one, ...(await Promise.all(leases.slice(1).map(() => peerOf(port, beganMs + START_MS))))];
  await Promise.all(peers.slice(1).map((peer, at) => peer.call('slot.acquire', { resume: leases[at + 1].resume })));
  const allMs = since();
  await Promise.all(peers.map((peer) => peer.call('terminal.capture', {})));
  const screensMs = since();
  await starting;
  if (program.keeper?.pid !== keeper.pid) wrong.push('another keeper');
  await Promise.all(
    peers.map(async (peer, index) => {
      const { outcome, exitCode, stdout } = await peer.call('exec.wait', { process: commands[index].process });
      const got = JSON.stringify([outcome, exitCode, stdout]);
      if (got !== JSON.stringify(['exited', index, 'begun\nended\n'])) wrong.push(`exec.wait says ${got} of ${index}`);
    }),
  );
  for (const peer of peers) peer.close();
  return { listensMs, firstMs, allMs, screensMs };
}

/** Ends the terminals and compares what they printed with what is recorded. */
async function finish(leases) {
  await Promise.all(
    leases.map(async ({ name, resume, cast }) => {
      const client = await connect({ url: `http://127.0.0.1:${port}`, token: TOKEN });
      const slot = await client.acquire({ resume });
      await slot.file.write({ path: 'stop', data: '' });
      await until('it is over', async () => (await slot.terminal.capture()).text.includes('over'));
      const said = (await slot.file.readText('said')).replaceAll('\n', '\r\n');
      await slot.release();
      const verdict = await client.cast.verify(cast);
      if (!verdict.ok || !verdict.sealed || verdict.recovered) wrong.push(`${cast}: ${JSON.stringify(verdict)}`);
      if (!recorded(join(home, 'casts', `${cast}.cast`)).includes(said)) wrong.push(`${name}: bytes are missing`);
      await client.close();
    }),
  );
}

function recorded(file) {
  const events = readFileSync(file, 'utf8')
    .split('\n')
    .slice(1)
    .filter((line) => line.startsWith('['));
  return events
    .map((line) => JSON.parse(line))
    .flatMap(([, code, data]) => (code === 'o' ? [data] : []))
    .join('');
}

function report(rounds) {
  const row = (name, key) => {
    const all = rounds.map((round) => round[key]);
    console.log(
      `${name.padEnd(34)} ${[0.5, 0.99].map((share) => quantile(all, share).toFixed(0).padStart(6)).join(' ')} ms`,
    );
  };
  console.log(
    `${rounds.length} times kill -9, ${slots} commands and ${slots} busy terminals, ${mb} MB recorded each; p50 and the slowest:`,
  );
  row('somebody listens', 'listensMs');
  row('the first agent has resumed', 'firstMs');
  row('all have', 'allMs');
  row('all have a screen', 'screensMs');
  console.log(`keeper ${memoryMiB(program.keeper.pid)} MiB; wrong: ${wrong.slice(0, 10).join('; ') || 'nothing'}`);
}

async function end() {
  const { keeper } = program;
  if (program.pid !== 0) await program.end('SIGTERM');
  if (keeper !== null && program.keeper?.pid === keeper.pid) process.kill(keeper.pid, 'SIGKILL');
  rmSync(home, { recursive: true, force: true });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port: free } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return free;
}
