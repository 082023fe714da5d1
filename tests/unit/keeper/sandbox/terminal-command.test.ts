// The terminal's command on a real pty.
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../../server/keeper/clock.ts';
import { PtyChild } from '../../../../server/keeper/pty-child.ts';
import { Cgroup } from '../../../../server/keeper/sandbox/cgroup.ts';
import { DEFAULT_POLICY, type Policy } from '../../../../server/keeper/sandbox/policy.ts';
import {
  type TerminalCommand,
  type TerminalLaunch,
  terminalCommand,
} from '../../../../server/keeper/sandbox/terminal-command.ts';
import { type Home, makeHome, until } from '../place-fixture.ts';

let home: Home;
let command: TerminalCommand;
let child: PtyChild;
let launch: TerminalLaunch;
let screen = '';

beforeAll(async () => {
  home = await makeHome();
  await writeFile(join(home.place.spool, 'rc'), 'PS1="ready> "\n', { mode: 0o644 });
});
afterEach(async () => {
  child.kill();
  await child.exited;
});
afterAll(() => home.remove());

function start(policy: Policy = DEFAULT_POLICY, workspace = home.place.workspace, group?: Cgroup): void {
  const argv = ['/bin/bash', '--noprofile', '--rcfile', '/run/slotcast/rc', '-i'];
  const place = { ...home.place, workspace };
  command = terminalCommand({ policy, place, network: 'none', argv, env: { ADDED: 'x' }, group });
  screen = '';
  const output = (bytes: Buffer) => {
    screen += bytes.toString();
  };
  child = new PtyChild({ ...command, cols: 200, rows: 40, clock: systemClock, output });
  launch = command.launch((fd) => child.pipe(fd));
}

async function startShell(policy?: Policy): Promise<void> {
  start(policy);
  expect(await launch.ran).toBe(true);
  await until(() => screen.includes('ready> '));
}

async function type(line: string, expected: RegExp): Promise<void> {
  child.write(`${line}\r`);
  await until(() => expected.test(screen));
}

test('a shell with job control, its own environment and no way to its first process', async () => {
  await startShell();
  await type('echo "[$PWD $ADDED $TERM $(ls /proc/self/fd | wc -l)]"', /\[\/workspace x xterm-256color 4\]/);
  await type('sleep 100', /sleep 100\r\n/);
  child.write('\x1a');
  await until(() => /Stopped +sleep 100/.test(screen));
  await type('kill %1; wait; : < /proc/1/environ', /environ: Permission denied/);
  await type('touch /run/slotcast/x', /Read-only file system/);
});

test('its first process is known, is the slot’s user without any privilege, and takes everything with it', async () => {
  await startShell();
  const { firstPid } = launch;
  const { identity } = home.place;
  const uid = identity?.uid ?? process.getuid?.();
  // Around the sandbox an ordinary user keeps what could be got by a program with set-uid.
  for (const pid of identity === null ? [firstPid] : [firstPid, child.pid]) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) expect(status).toContain(`Cap${set}:\t0000000000000000`);
    if (identity !== null) expect(status).toMatch(/^Groups:\t *$/m);
  }
  expect(readFileSync(`/proc/${firstPid}/status`, 'utf8')).toMatch(/^Seccomp:\t2$/m);
  process.kill(firstPid ?? 0, 'SIGKILL');
  await child.exited;
  expect(existsSync(`/proc/${firstPid}`)).toBe(false);
});

test('it has its limits, around the sandbox and inside', async () => {
  await startShell();
  const { processes, slotProcesses, fileBytes, openFiles } = DEFAULT_POLICY.limits;
  const limitsOf = (pid: number | null) => readFileSync(`/proc/${pid}/limits`, 'utf8').replace(/ +/g, ' ');
  for (const pid of [child.pid, launch.firstPid]) {
    expect(limitsOf(pid)).toContain(`Max file size ${fileBytes} ${fileBytes} bytes`);
    expect(limitsOf(pid)).toContain(`Max open files ${openFiles} ${openFiles} files`);
    expect(limitsOf(pid)).toContain('Max core file size 1 1 bytes');
  }
  if (home.place.identity !== null) {
    expect(limitsOf(child.pid)).toContain(`Max processes ${slotProcesses} ${slotProcesses} processes`);
  }
  expect(limitsOf(launch.firstPid)).toContain(`Max processes ${processes} ${processes} processes`);
});

test('exit gives its code', async () => {
  await startShell();
  child.write('exit 7\r');
  expect(await child.exited).toEqual({ exitCode: 7, signal: 0 });
});

test('a sandbox that does not start never ran, and its reason has no host path', async () => {
  start(DEFAULT_POLICY, join(home.dataDir, 'gone'));
  expect(await launch.ran).toBe(false);
  await child.exited;
  const { reason } = command.explain(screen);
  expect(reason).toContain('bwrap');
  expect(reason).not.toContain(home.dataDir);
});

test('--sandbox none runs the same shell on host paths', async () => {
  await startShell({ ...DEFAULT_POLICY, sandbox: 'none' });
  await type(
    'echo "[$(pwd) $ADDED $(id -u)]"',
    new RegExp(`\\[${home.place.workspace} x ${home.place.identity?.uid ?? process.getuid?.()}\\]`),
  );
});

test('a terminal that can’t go into its group never runs, and says so', async () => {
  const group = new Cgroup([{ dir: join(home.dataDir, 'gone'), version: 1, controllers: ['pids'] }]);
  start(DEFAULT_POLICY, home.place.workspace, group);
  expect(await launch.ran).toBe(false);
  expect(await child.exited).toMatchObject({ exitCode: 125 });
  expect(command.explain(screen).reason).toContain('the limits of memory and processes could not be set');
});
