import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FrameCode } from '../../../protocol/frame.ts';
import { systemClock } from '../../../server/keeper/clock.ts';
import { statOf } from '../../../server/keeper/foreground.ts';
import { FrameLog } from '../../../server/keeper/frame-log.ts';
import type { Identity, SlotPlace } from '../../../server/keeper/keeper.ts';
import { type PtyTerminal, startTerminal, type TerminalOptions } from '../../../server/keeper/pty.ts';
import { DEFAULT_POLICY, type Policy } from '../../../server/keeper/sandbox/policy.ts';
import { terminalCommand } from '../../../server/keeper/sandbox/terminal-command.ts';
import { scratch } from './scratch.ts';
import { until } from './until.ts';

const asRoot = process.getuid?.() === 0;
const identity: Identity | null = asRoot ? { uid: 54_321, gid: 54_321 } : null;
const terminals: PtyTerminal[] = [];
const SHELL = ['bash', '--noprofile', '--norc', '-i'];
let place: SlotPlace;

beforeEach(async () => {
  const root = await scratch();
  chmodSync(root, 0o711);
  const directories = ['workspace', 'tmp', 'spool', 'drafts'].map((name) => join(root, name));
  for (const directory of directories) {
    mkdirSync(directory, { mode: 0o755 });
    if (identity !== null) chownSync(directory, identity.uid, identity.gid);
  }
  const [workspace = '', tmp = '', spool = '', drafts = ''] = directories;
  place = { slot: 'slot_0', workspace, tmp, spool, drafts, identity };
});

afterEach(async () => {
  await Promise.all(terminals.splice(0).map((terminal) => terminal.kill()));
});

interface Started {
  readonly terminal: PtyTerminal;
  readonly log: FrameLog;
  /** All data of one code, joined. */
  said(code?: FrameCode): string;
}

function newLog(): FrameLog {
  return new FrameLog({
    cast: 'cast_1',
    cols: 80,
    rows: 24,
    now: () => systemClock.now(),
    ringBytes: 64 * 1024 * 1024,
  });
}

function framesOf(log: FrameLog) {
  const frames = log.read(0, Number.POSITIVE_INFINITY);
  if ('from' in frames) throw new Error('the log has a gap');
  return frames;
}

async function start(
  argv: readonly string[],
  options: Partial<TerminalOptions> & { policy?: Policy } = {},
): Promise<Started> {
  const policy = options.policy ?? DEFAULT_POLICY;
  const log = options.log ?? newLog();
  const command = options.command ?? terminalCommand({ policy, place, network: 'none', argv, env: {} });
  const terminal = await startTerminal({
    log,
    clock: systemClock,
    cols: 80,
    rows: 24,
    command,
    sandboxed: policy.sandbox === 'bwrap',
    recordInput: false,
    ...options,
  });
  terminals.push(terminal);
  const said = (code: FrameCode = 'o'): string =>
    framesOf(log)
      .map((frame) => (frame.code === code ? frame.data : ''))
      .join('');
  return { terminal, log, said };
}

/** An interactive shell at its prompt. */
async function startShell(options: Parameters<typeof start>[1] = {}): Promise<Started> {
  const started = await start(SHELL, options);
  await until(() => started.said().includes('$ ') && started.terminal.foreground() === 'shell', 'the prompt');
  return started;
}

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\r\n`).join('');

test('a command in a sandbox prints, ends, and nothing is lost, in 15 tries', async () => {
  for (let attempt = 0; attempt < 15; attempt++) {
    const { terminal, said, log } = await start(['bash', '-c', 'seq 1 2000; echo END; exit 7']);
    expect(await terminal.ended).toEqual({ exitCode: 7 });
    expect(said()).toBe(`${lines(1, 2000)}END\r\n`);
    expect(framesOf(log).at(-1)).toMatchObject({ code: 'x', data: '7' });
  }
});

test('the payload is on a terminal of its own, as xterm-256color, and as nobody of the host', async () => {
  const { terminal, said } = await start([
    'bash',
    '-c',
    'tty; echo $TERM; stty size; id -u; ls /proc | grep -c "^[0-9]"',
  ]);
  await terminal.ended;
  expect(said()).toMatch(/^\/dev\/.*\r\nxterm-256color\r\n24 80\r\n1000\r\n[1-9]\r\n$/);
});

test('a program that ends by a signal has the exit status that a shell would give', async () => {
  const { terminal, said } = await start(['bash', '-c', 'kill -TERM $$']);
  await terminal.ended;
  expect(said('x')).toBe('143');
});

test('characters that are written byte by byte with time between them arrive whole', async () => {
  const script = `for byte in c3 a9 e2 86 92 f0 9f 98 80; do printf "\\x$byte"; read -t 0.02 <> <(:); done; printf '\\xff\\xc3'`;
  const { terminal, said, log } = await start(['bash', '-c', script]);
  await terminal.ended;
  expect(said()).toBe('é→😀\ufffd\ufffd');
  for (const { data } of framesOf(log)) expect(data.isWellFormed()).toBe(true);
});

test('binary output is text in the log, each byte that is no UTF-8 as U+FFFD', async () => {
  const { terminal, said } = await start(['bash', '-c', 'stty raw; cat /bin/ls']);
  await terminal.ended;
  expect(said()).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(readFileSync('/bin/ls')));
});

test('a line that is answered at once is one frame, and the answer comes after it', async () => {
  const { terminal, log, said } = await startShell();
  const before = log.lastSeq;
  // Quoted, so that the echo is not taken for it.
  const answered = await terminal.writeUntil("echo a; echo b; echo E''ND\r", 'END\r\n');
  // A busy host may take longer than it is held.
  expect([null, { seq: before + 1, limit: null }]).toContainEqual(answered);
  await until(() => said().includes('END\r\n'), 'the end');
});

test('a line that is not answered at once, or never, resolves with null', async () => {
  const { terminal, said } = await startShell();
  expect(await terminal.writeUntil("read; echo E''ND\r", 'END\r\n')).toBeNull();
  const last = terminal.writeUntil('\rexit\r', 'never');
  await terminal.ended;
  expect(await last).toBeNull();
  expect(await terminal.writeUntil('x', 'x')).toBeNull();
  expect(said()).toContain('END\r\n');
});

test('another size than that of the log is a frame before all output, and so is each resize in its place', async () => {
  const { terminal, log } = await start(['bash', '-c', 'stty size; read; stty size'], { cols: 100, rows: 30 });
  await until(() => framesOf(log).some(({ code }) => code === 'o'), 'the first size');
  terminal.resize(101, 31);
  terminal.resize(101, 31);
  terminal.write('\r');
  await terminal.ended;
  const frames = framesOf(log).map(({ code, data }) => `${code} ${data}`);
  expect(frames).toEqual(['r 100x30', 'o 30 100\r\n', 'r 101x31', ...frames.slice(3, -1), 'x 0']);
  expect(frames.slice(3, -1).join('')).toContain('31 101');
});

test('what is typed is in the log only if wanted', async () => {
  for (const recordInput of [false, true]) {
    const { terminal, said } = await start(['bash', '-c', 'read -s secret; echo "[$secret]"'], { recordInput });
    terminal.write('pässword\r');
    await terminal.ended;
    expect(said()).toContain('[pässword]');
    expect(said('i')).toBe(recordInput ? 'pässword\r' : '');
  }
});

describe.each(['bwrap', 'none'] as const)('with --sandbox %s', (sandbox) => {
  const policy: Policy = { ...DEFAULT_POLICY, sandbox };

  test('the foreground is the shell at its prompt and a job while one runs; a signal reaches the job alone', async () => {
    const { terminal, said } = await startShell({ policy });
    terminal.signalForeground('KILL');
    terminal.write('sleep 100\r');
    await until(() => terminal.foreground() === 'job', 'the job has the terminal');
    terminal.signalForeground('TERM');
    await until(() => terminal.foreground() === 'shell', 'the shell has it back');
    terminal.write('echo status=$?\r');
    await until(() => said().includes('status=143'), 'the job was ended by the signal');
    terminal.write('exit 3\r');
    expect(await terminal.ended).toEqual({ exitCode: 3 });
    expect(terminal.foreground()).toBe(null);
  });

  test('killing ends everything in it, also what ignores every signal and has a group of its own', async () => {
    const { terminal, said } = await startShell({ policy });
    terminal.write(`(trap '' HUP TERM INT; echo u""p; while :; do read -t 0.5 <> <(:); done) &\r`);
    await until(() => said().includes('up\r\n'), 'the job runs');
    terminal.write('sleep 12345\r');
    await until(() => running('sleep\u000012345').length === 1, 'the foreground job runs');
    const members = inTree(running('sleep\u000012345'));
    await terminal.kill();
    await terminal.kill();
    await until(() => members.every((pid) => statOf(pid)?.alive !== true), 'all dead');
    expect(running('sleep\u000012345')).toEqual([]);
  });

  test('a terminal does not get the descriptors of the others', async () => {
    await startShell({ policy });
    const { terminal, said } = await start(['bash', '-c', 'ls -l /proc/$$/fd /proc/1/fd; :'], { policy });
    await terminal.ended;
    expect(said()).not.toContain('ptmx');
    expect(said().match(/ -> /g)?.length).toBeGreaterThanOrEqual(3);
  });
});

test('a sandbox that does not stand is a fault with the reason; nothing runs and nothing is shown', async () => {
  const missing: SlotPlace = { ...place, workspace: join(place.workspace, 'gone') };
  const command = terminalCommand({ policy: DEFAULT_POLICY, place: missing, network: 'none', argv: SHELL, env: {} });
  const log = newLog();
  await expect(start(SHELL, { command, log, cols: 100 })).rejects.toMatchObject({
    fault: 'SANDBOX_UNAVAILABLE',
    message: expect.stringMatching(/nothing ran: .*workspace/s),
  });
  await expect(start(SHELL, { command, log })).rejects.not.toThrow(place.workspace);
  expect(framesOf(log)).toEqual([]);
});

test('a program that is not in the sandbox is an end like any other, with the reason on the screen', async () => {
  const { terminal, said } = await start(['no-such-program']);
  expect(await terminal.ended).toEqual({ exitCode: 127 });
  expect(said()).toContain('no-such-program');
});

test('a program that does not read what is typed makes writing a fault, not a leak', async () => {
  const { terminal, said } = await start(['bash', '-c', 'stty raw -echo; echo ready; exec sleep 100']);
  await until(() => said().includes('ready'), 'raw mode');
  await terminal.write('x'.repeat(1_000_000));
  await expect(terminal.write('x'.repeat(1_000_000))).rejects.toMatchObject({ fault: 'TERMINAL_BUSY' });
});

test('what is printed after the recording has ended is dropped without harm', async () => {
  const { terminal, log, said } = await start(['bash', '-c', 'echo one; read; echo two']);
  await until(() => said().includes('one'), 'the first line');
  log.close();
  terminal.write('\r');
  terminal.resize(90, 30);
  expect(await terminal.ended).toEqual({ exitCode: 0 });
  expect(said()).not.toContain('two');
});

function processes(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Of processes whose arguments end so, NUL between them. */
function running(end: string): number[] {
  return processes().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith(`${end}\0`) && statOf(pid)?.alive === true;
    } catch {
      return false;
    }
  });
}

/** All of the session that these belong to. */
function inTree(pids: readonly number[]): number[] {
  const sessions = new Set(pids.map((pid) => statOf(pid)?.session));
  return processes().filter((pid) => sessions.has(statOf(pid)?.session ?? -1));
}
