// The terminal's command line on a real pty.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type IPty, spawn } from '@lydell/node-pty';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DEFAULT_POLICY, type Policy } from '../../../../server/keeper/sandbox/policy.ts';
import { type TerminalCommand, terminalCommand } from '../../../../server/keeper/sandbox/terminal-command.ts';
import { type Home, makeHome, until } from '../place-fixture.ts';

let home: Home;
let command: TerminalCommand;
let pty: IPty;
let screen = '';
let exitCode: number | null = null;

beforeAll(async () => {
  home = await makeHome();
  await writeFile(join(home.place.spool, 'rc'), 'PS1="ready> "\n', { mode: 0o644 });
});
afterEach(async () => {
  if (exitCode === null) {
    pty.kill('SIGKILL');
    await until(() => exitCode !== null);
  }
  command.close();
});
afterAll(() => home.remove());

function start(policy: Policy = DEFAULT_POLICY, workspace = home.place.workspace): void {
  const argv = ['/bin/bash', '--noprofile', '--rcfile', '/run/slotcast/rc', '-i'];
  command = terminalCommand({
    policy,
    place: { ...home.place, workspace },
    network: 'none',
    argv,
    env: { ADDED: 'x' },
  });
  screen = '';
  exitCode = null;
  pty = spawn(command.file, command.args, { cols: 200, rows: 40, cwd: command.cwd, env: command.env });
  pty.onData((data) => (screen += data));
  pty.onExit((event) => (exitCode = event.exitCode));
}

async function type(line: string, expected: RegExp): Promise<void> {
  pty.write(`${line}\r`);
  await until(() => expected.test(screen));
}

test('a shell with job control, its own environment and no way to its first process', async () => {
  start();
  await until(() => screen.includes('ready> '));
  await type('echo "[$PWD $ADDED $TERM $(ls /proc/self/fd | wc -l)]"', /\[\/workspace x xterm-256color 4\]/);
  await type('sleep 100', /sleep 100\r\n/);
  pty.write('\x1a');
  await until(() => /Stopped +sleep 100/.test(screen));
  await type('kill %1; wait; : < /proc/1/environ', /environ: Permission denied/);
  await type('touch /run/slotcast/x', /Read-only file system/);
});

test('its first process is known, is the slot’s user and takes everything with it', async () => {
  start();
  await until(() => screen.includes('ready> '));
  const { childPid } = command.status();
  const status = readFileSync(`/proc/${childPid}/status`, 'utf8');
  const uid = home.place.identity?.uid ?? process.getuid?.();
  expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  process.kill(childPid ?? 0, 'SIGKILL');
  await until(() => exitCode !== null);
  expect(existsSync(`/proc/${childPid}`)).toBe(false);
});

test('exit gives its code; the status tells that the shell ran', async () => {
  start();
  await until(() => screen.includes('ready> '));
  pty.write('exit 7\r');
  await until(() => exitCode !== null);
  expect(exitCode).toBe(7);
  expect(command.status().exitCode).toBe(7);
});

test('its files are the gateway’s alone and go with close', async () => {
  start();
  await until(() => screen.includes('ready> '));
  const file = command.args.find((arg) => arg.endsWith('/args')) ?? '';
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
  command.close();
  command.close();
  expect(existsSync(dirname(file))).toBe(false);
  expect(command.status().childPid).toBeGreaterThan(0);
});

test('a sandbox that does not start leaves no exit code, and its reason no host path', async () => {
  start(DEFAULT_POLICY, join(home.dataDir, 'gone'));
  await until(() => exitCode !== null);
  expect(command.status().exitCode).toBeNull();
  const { reason } = command.explain(screen);
  expect(reason).toContain('bwrap');
  expect(reason).not.toContain(home.dataDir);
});

test('--sandbox none runs the same shell on host paths', async () => {
  start({ ...DEFAULT_POLICY, sandbox: 'none' });
  await until(() => screen.includes('ready> '));
  await type(
    'echo "[$(pwd) $ADDED $(id -u)]"',
    new RegExp(`\\[${home.place.workspace} x ${home.place.identity?.uid ?? process.getuid?.()}\\]`),
  );
});
