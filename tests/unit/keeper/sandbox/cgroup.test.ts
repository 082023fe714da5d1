import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProcess } from '../../../../server/keeper/process.ts';
import { Cgroups, openCgroups } from '../../../../server/keeper/sandbox/cgroup.ts';
import { startSandbox } from '../../../../server/keeper/sandbox/launch.ts';
import { DEFAULT_LIMITS, DEFAULT_POLICY, type Limits } from '../../../../server/keeper/sandbox/policy.ts';
import { type Home, makeHome, order } from '../place-fixture.ts';

const opened = await openCgroups(`cgroup.test ${process.pid}`);
let home: Home;
beforeAll(async () => {
  home = await makeHome();
});
afterAll(async () => {
  await home.remove();
  if (opened instanceof Cgroups) await opened.close();
});

// Where the host gives no groups away there is nothing to test; the reason stands in the name.
describe.skipIf(!(opened instanceof Cgroups))(
  `with groups (${opened instanceof Error ? opened.message : 'there'})`,
  () => {
    const groups = opened as Cgroups;

    async function run(command: string, limits: Partial<Limits>, slot: string) {
      const all = { ...DEFAULT_LIMITS, ...limits };
      const group = await groups.group(slot, all);
      const policy = { ...DEFAULT_POLICY, limits: all };
      const sandbox = startSandbox({ policy, place: home.place, network: 'none', group });
      const child = await startProcess({ sandbox, order: order(command) });
      const end = await child.ended;
      await group.close();
      const stdout = child.output('stdout').head.toString();
      return { ...end, stdout, dirs: group.joins.map(dirname) };
    }

    test('a command that takes more memory than its slot may is ended, and the result says so', async () => {
      const end = await run(
        `perl -e '$x = "x" x 100_000_000; print "got it"'`,
        { memoryBytes: 48 * 1024 ** 2 },
        'small',
      );
      expect(end).toMatchObject({ outcome: 'signaled', signal: 'KILL', limit: 'memory', stdout: '' });
    });

    test('what is ended below a command counts too, though the command goes on', async () => {
      const command = `perl -e '$x = "x" x 100_000_000'; echo "status $?"`;
      const end = await run(command, { memoryBytes: 48 * 1024 ** 2 }, 'small');
      expect(end).toMatchObject({ outcome: 'exited', exitCode: 0, limit: 'memory', stdout: 'status 137\n' });
    });

    test('a command that starts more processes than it may is told, and the result says so', async () => {
      const fork = `perl -e 'for (1..100) { my $p = fork; if (!defined $p) { print "denied"; last } if (!$p) { sleep 60; exit } }'`;
      const end = await run(fork, { processes: 20 }, 'few');
      expect(end).toMatchObject({ outcome: 'exited', limit: 'processes', stdout: 'denied' });
    });

    test('a command within its limits says nothing of them', async () => {
      const end = await run('echo fine', {}, 'usual');
      expect(end).toMatchObject({ outcome: 'exited', stdout: 'fine\n' });
      expect(end).not.toHaveProperty('limit');
    });

    test('a group is gone with its sandbox, also the groups of a gateway that was killed', async () => {
      const { dirs } = await run('true', {}, 'usual');
      expect(dirs.map((dir) => existsSync(dir))).toEqual(dirs.map(() => false));
      const owner = `killed ${process.pid}`;
      const left = await (await Cgroups.open(owner)).group('slot_0', DEFAULT_LIMITS);
      expect(left.joins.map((file) => existsSync(file))).toEqual(left.joins.map(() => true));
      const next = await Cgroups.open(owner);
      expect(left.joins.map((file) => existsSync(file))).toEqual(left.joins.map(() => false));
      await next.close();
    });

    test('groups of a keeper that was killed are there for the next one, also while something in them has not died yet', async () => {
      const owner = `slow ${process.pid}`;
      const left = await (await Cgroups.open(owner)).group('slot_0', DEFAULT_LIMITS);
      const slow = spawn('sleep', ['1007'], { stdio: 'ignore' });
      const ended = new Promise((resolve) => slow.once('exit', (_code, signal) => resolve(signal)));
      await left.add(slow.pid ?? 0);
      const next = await Cgroups.open(owner);
      expect(await ended).toBe('SIGKILL');
      expect(next.version).toBe(groups.version);
      await next.close();
    });

    test('the memory of a slot is one limit for all of its sandboxes', async () => {
      const group = await groups.group('shared', { ...DEFAULT_LIMITS, memoryBytes: 64 * 1024 ** 2 });
      const [dir = ''] = group.joins
        .map(dirname)
        .filter((each) => existsSync(`${each}/memory.oom_control`) || existsSync(`${each}/memory.max`));
      const file = groups.version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
      expect(readFileSync(`${dirname(dir)}/${file}`, 'utf8')).toBe(`${64 * 1024 ** 2}\n`);
      await group.close();
    });
  },
);
