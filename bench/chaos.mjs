// `node bench/chaos.mjs [MINUTES=20] [SEED] [FAULT,…]` after a build: agents on 8 slots whose every byte is checked, while the program is killed,
// stopped, upgraded, cut off and starved of disk. Nothing may be lost, wrong, done twice or left over. Exits with 1 when something is.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { faultsOf, NEEDS_KEEPER } from './chaos/fault.mjs';
import { Lease } from './chaos/lease.mjs';
import { Ledger } from './chaos/ledger.mjs';
import { memoryMiB, Program, sleep, TOKEN } from './chaos/program.mjs';
import { Line } from './chaos/proxy.mjs';
import { Random } from './chaos/random.mjs';
import { filesOf, groups, mountsBelow, processesOf } from './chaos/remains.mjs';

const minutes = Number(process.argv[2] ?? 20);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const only = process.argv[4]?.split(',') ?? null;
const SLOTS = 8;
const SAMPLE_MS = 30_000;
/** More than all workspaces and recordings of an hour. */
const DISK = '3G';
/** What is left of a sandbox and its descriptors needs a moment to go. */
const GONE_MS = 10_000;
const isRoot = process.getuid() === 0;
const OWN_MOUNTS = 'CHAOS_OWN_MOUNTS';

// In mounts of its own, so that the small disk is seen by what this run starts alone: nobody else's process is ever taken for one of ours.
if (isRoot && process.env[OWN_MOUNTS] === undefined) {
  const again = ['-m', process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', again, { stdio: 'inherit', env: { ...process.env, [OWN_MOUNTS]: 'yes' } });
  process.exit(status ?? 1);
}

const home = mkdtempSync(join(tmpdir(), 'slotcast-chaos-'));
// Slots under root are users of their own, and must get through.
chmodSync(home, 0o711);
const dataDir = join(home, 'data');
mkdirSync(dataDir, { mode: 0o711 });
if (isRoot) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=711`, basename(home), dataDir]);

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const groupsBefore = groups();
const port = await freePort();
const flags = ['--slots', String(SLOTS), '--grace-ms', '60000', '--max-memory', '512M', '--min-free-disk', '32M'];
const program = new Program({ dataDir, port, flags, env: { TMPDIR: home } });
const proxy = await Line.open(port);
const ledger = new Ledger();
const at = { url: `http://127.0.0.1:${proxy.port}`, token: TOKEN };
console.log(`chaos of ${minutes} minutes on ${SLOTS} slots, seed ${seed}`);
await program.start();
const beginMs = performance.now();
const endMs = beginMs + minutes * 60_000;
let isGivenUp = false;
const over = () => isGivenUp || performance.now() > endMs;

async function injectFaults() {
  const random = new Random(seed);
  const choices = faultsOf({ program, proxy, ledger, random, disk: isRoot ? dataDir : null }).filter(
    ([, { kind }]) => only === null || only.includes(kind),
  );
  // Each agent has begun.
  await sleep(3000);
  while (!over()) {
    const { kind, run } = random.weighted(choices);
    if (NEEDS_KEEPER.includes(kind) && program.keeper === null) {
      ledger.violation('keeper', `no keeper for ${kind}`);
    } else {
      const end = ledger.fault(kind);
      await run();
      end();
    }
    // Sometimes the next one comes before anybody has recovered.
    await sleep(random.oneOf([100, 2000, 4000, 7000]));
  }
}

async function work(index) {
  const random = new Random(seed + 1 + index);
  for (let lease = 1; !over(); lease++) {
    const label = `s${seed}a${index}l${lease}`;
    const untilMs = Math.min(endMs, performance.now() + random.between(10_000, 60_000));
    const one = new Lease({ at, ledger, random, dataDir, label, slotName: `slot_${index}` });
    await one
      .run(untilMs)
      .catch((error) => ledger.violation('agent', `the agent on slot_${index} failed`, { error, stack: error.stack }));
  }
}

const most = { gateway: 0, keeper: 0 };
function sample() {
  const now = { gateway: memoryMiB(program.pid), keeper: program.keeper === null ? 0 : memoryMiB(program.keeper.pid) };
  for (const name of Object.keys(most)) most[name] = Math.max(most[name], now[name]);
  return now;
}
const sampling = setInterval(() => {
  const { gateway, keeper } = sample();
  const { commands, leases } = ledger.counts;
  const faults = ledger.faults.length;
  console.log(
    `${ledger.seconds} s:  gateway ${gateway} MiB  keeper ${keeper} MiB  faults ${faults}  commands ${commands}  leases ${leases}  violations ${[...ledger.violations.values()].reduce((a, b) => a + b, 0)}`,
  );
}, SAMPLE_MS);

const injecting = injectFaults().catch((error) => {
  isGivenUp = true;
  ledger.violation('start', 'the run was given up', { error });
});
await Promise.all(Array.from({ length: SLOTS }, (_, index) => work(index)));
await injecting;
clearInterval(sampling);
const last = sample();
const how = await program.end('SIGTERM');
if (how !== 0) ledger.violation('end', 'SIGTERM did not end the gateway well', { got: how });
await proxy.close();
const left = () => ({
  processes: processesOf(basename(home)),
  files: filesOf(home, dataDir),
  mounts: mountsBelow(dataDir),
  groups: groups().filter((name) => !groupsBefore.includes(name)),
});
const anything = () => Object.values(left()).some((found) => found.length > 0);
for (const deadline = performance.now() + GONE_MS; anything() && performance.now() < deadline; ) await sleep(200);
const remains = left();
for (const line of remains.processes) console.log(`left running: ${line}`);
// By its pid and start time alone: what else is left is told, and never ended by a guess.
if (program.keeper !== null) process.kill(program.keeper.pid, 'SIGKILL');
if (isRoot) execFileSync('umount', ['-l', dataDir]);
rmSync(home, { recursive: true, force: true });

const shown = (entries) => [...entries].map(([name, value]) => `${name} ${value}`).join('  ') || 'none';
const leftovers = Object.entries(remains).filter(([, found]) => found.length > 0);
const log = program.log.split('\n').filter((line) => line !== '');
console.log(`
minutes   ${minutes}  seed ${seed}
faults    ${shown(ledger.injected)}
work      ${shown(Object.entries(ledger.counts))}
refused   ${shown(ledger.refusals)}
starts    the slowest took ${Math.round(ledger.slowestStartMs)} ms
memory    gateway ${last.gateway} MiB (most ${most.gateway})  keeper ${last.keeper} MiB (most ${most.keeper})
log       ${log.length} lines${log
  .slice(-10)
  .map((line) => `\n          ${line.slice(0, 300)}`)
  .join('')}
wrong     ${shown(ledger.violations)}
left      ${leftovers.map(([name, found]) => `${name}: ${found.slice(0, 10).join(', ')}`).join('; ') || 'nothing'}`);
if (ledger.counts.leases === 0) console.log('nobody got a slot');
process.exitCode = ledger.violations.size + leftovers.length > 0 || ledger.counts.leases === 0 ? 1 : 0;
