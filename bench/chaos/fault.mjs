// The faults of a chaos run: each hurts the program in one way, and leaves it running. What must hold of the program right after is checked here.
import { spawnSync } from 'node:child_process';
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, sleep, treeOf } from './program.mjs';

/** Exit code of a gateway that leaves its keeper alive: start me again. */
const START_AGAIN = 75;
/** What is left of a sandbox dies with its keeper in a moment; a busy machine needs longer. */
const ORPHAN_MS = 10_000;
/** Until a gateway has noticed that its keeper is dead, and has another. */
const KEEPER_MS = 20_000;
/** Until the leases are known to a new keeper. Who kills both before loses them, and is told so: that is no fault of this run. */
const RENEWED_MS = 5_000;

/** Kinds with their weights: what every program must survive is more often tried than what costs a lease its processes. */
export function faultsOf({ program, proxy, ledger, random, disk }) {
  const start = async (...more) => {
    for (let tries = 0; tries < 3; tries++) {
      try {
        const tookMs = await program.start(...more);
        ledger.slowestStartMs = Math.max(ledger.slowestStartMs, tookMs);
        return;
      } catch (error) {
        ledger.violation('start', 'the gateway does not start again', { error });
        await sleep(1000);
      }
    }
    throw new Error('the gateway does not start any more');
  };
  const keepers = () => program.keeper;
  let renewedAtMs = 0;
  const kill = async () => {
    await sleep(Math.max(0, renewedAtMs - performance.now()));
    await program.end('SIGKILL');
  };
  const faults = {
    'kill-gateway': async () => {
      await kill();
      await sleep(random.oneOf([0, 0, 100, 1000, 4000]));
      await start();
    },
    'kill-twice': async () => {
      // While the next one is about to take over what lives.
      await kill();
      const starting = program.start().catch(() => {});
      await sleep(random.between(50, 900));
      await program.end('SIGKILL');
      await starting;
      await start();
    },
    'stop-gateway': async () => {
      program.signal('SIGSTOP');
      await sleep(random.between(1000, 5000));
      program.signal('SIGCONT');
    },
    'stop-keeper': async () => {
      const keeper = keepers();
      process.kill(keeper.pid, 'SIGSTOP');
      await sleep(random.between(1000, 3000));
      if (isAlive(keeper)) process.kill(keeper.pid, 'SIGCONT');
    },
    upgrade: async () => {
      const keeper = keepers();
      const how = await program.end('SIGHUP');
      if (how !== START_AGAIN) ledger.violation('upgrade', 'SIGHUP must end the gateway with 75', { got: how });
      if (!isAlive(keeper)) ledger.violation('upgrade', 'the keeper died with a gateway that was to leave it alive');
      await start();
    },
    replace: async () => {
      const keeper = keepers();
      try {
        const { how, tookMs } = await program.replace();
        ledger.slowestStartMs = Math.max(ledger.slowestStartMs, tookMs);
        if (how !== START_AGAIN && how !== 0)
          ledger.violation('replace', 'the gateway that was replaced did not end well', { got: how });
        if (!isAlive(keeper)) ledger.violation('replace', 'the keeper died as its gateway was replaced');
      } catch (error) {
        ledger.violation('replace', 'serve --replace did not take the place', { error });
        await start();
      }
    },
    cut: async () => {
      const share = random.oneOf([1, 1, 0.5]);
      proxy.cut(() => random.below(100) < share * 100);
    },
    stall: async () => {
      proxy.stall();
      await sleep(random.between(1000, 6000));
      proxy.flow();
    },
    'kill-keeper': async () => {
      const keeper = keepers();
      const below = treeOf(keeper.pid);
      process.kill(keeper.pid, 'SIGKILL');
      if (!(await within(KEEPER_MS, () => ![undefined, keeper.started].includes(program.keeper?.started))))
        ledger.violation('keeper', `no new keeper within ${KEEPER_MS} ms`);
      renewedAtMs = performance.now() + RENEWED_MS;
      if (!(await within(ORPHAN_MS, () => !below.some(isAlive))))
        ledger.violation('orphan', 'processes outlive their keeper', { processes: below.filter(isAlive) });
    },
    'full-disk': async () => {
      const ballast = join(disk, 'ballast');
      // Others write meanwhile, so that the last blocks may be gone before they are taken.
      for (const spare of random.oneOf([
        [0, 64, 1024, 8192],
        [64, 1024, 8192],
      ])) {
        const { bavail, bsize } = statfsSync(disk);
        const { status } = spawnSync('fallocate', ['-l', String(Math.max(4096, (bavail - spare) * bsize)), ballast]);
        if (status === 0) break;
      }
      await sleep(random.between(2000, 6000));
      rmSync(ballast, { force: true });
    },
  };
  const weights = {
    cut: 4,
    'kill-gateway': 5,
    'kill-twice': 1,
    'stop-gateway': 3,
    'stop-keeper': 3,
    upgrade: 2,
    replace: 2,
    stall: 3,
    'kill-keeper': 1,
    'full-disk': 1,
  };
  return Object.entries(faults)
    .filter(([kind]) => kind !== 'full-disk' || disk !== null)
    .map(([kind, run]) => [weights[kind], { kind, run }]);
}

/** Those that need a keeper of its own process. */
export const NEEDS_KEEPER = ['stop-keeper', 'upgrade', 'replace', 'kill-keeper'];

async function within(ms, holds) {
  for (const deadline = performance.now() + ms; !holds(); ) {
    if (performance.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}
