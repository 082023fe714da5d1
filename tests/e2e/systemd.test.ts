// What systemd hears of the program, by a datagram socket such as its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { until } from '../support/gateway.ts';
import { type Program, startProgram } from '../support/one-gateway.ts';

/** Prints each message with who sent it: pid, then its lines with | between them. */
const LISTENER = `
import socket, struct, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 16, 1)
s.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
while True:
    data, rest, _, _ = s.recvmsg(65536, 1024)
    pid = struct.unpack('3i', rest[0][2])[0]
    print(pid, data.decode().replace('\\n', '|'), flush=True)
`;

const open: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Manager {
  readonly address: string;
  /** What came, oldest first, with the time in monotonic ms. */
  readonly heard: { readonly pid: number; readonly text: string; readonly atMs: number }[];
}

async function manager(isAbstract: boolean): Promise<Manager> {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-notify-'));
  const address = isAbstract ? `@${directory}` : join(directory, 'notify');
  const child: ChildProcess = spawn('/usr/bin/python3', ['-c', LISTENER, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise((resolve) => child.once('close', resolve));
  open.push({
    close: async () => {
      child.kill('SIGKILL');
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  });
  const heard: Manager['heard'] = [];
  let isBound = false;
  let rest = '';
  child.stdout?.on('data', (data) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, pid, text = ''] = /^(\d+) (.*)$/.exec(line) ?? [];
      if (pid === undefined) isBound = true;
      else heard.push({ pid: Number(pid), text, atMs: performance.now() });
    }
  });
  await until('the socket is bound', () => isBound);
  return { address, heard };
}

async function start(env: Record<string, string>, ...flags: string[]): Promise<Program> {
  const program = await startProgram({ env, flags });
  open.push(program);
  return program;
}

const childrenOf = (pid: number | undefined): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => contentOf(`/proc/${name}/status`).includes(`\nPPid:\t${pid}\n`));

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

test.each([
  ['a path', false],
  ['an abstract socket', true],
])(
  'ready, alive in time, waiting and stopping are told by one child of the gateway, to %s',
  async (_kind, isAbstract) => {
    const { address, heard } = await manager(isAbstract);
    const watchdogMs = 600;
    const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: String(watchdogMs * 1000) };
    const program = await start(env, '--drain-ms', '300');
    await until('ready', () => heard.length > 0);
    expect(heard[0]?.text).toBe(`READY=1|STATUS=at ${program.url}/, 2 slots`);
    await until('alive', () => heard.filter(({ text }) => text === 'WATCHDOG=1').length >= 5);
    const beats = heard.filter(({ text }) => text === 'WATCHDOG=1').map(({ atMs }) => atMs);
    const took = ((beats.at(-1) ?? 0) - (beats[0] ?? 0)) / (beats.length - 1);
    expect(took).toBeGreaterThan(watchdogMs / 4);
    expect(took).toBeLessThan(watchdogMs);
    const client = await program.client();
    await client.call('slot.acquire', {});
    await client.call('exec.start', { command: 'sleep 600' });
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
    await until('stopping and waiting', () => heard.some(({ text }) => text.startsWith('STATUS=waiting')));
    const said = heard.map(({ text }) => text).filter((text) => text !== 'WATCHDOG=1');
    expect(said.slice(1)).toEqual([
      'STOPPING=1|EXTEND_TIMEOUT_USEC=60300000|STATUS=stopping',
      'STATUS=waiting up to 0.3 s for 1 command; send SIGTERM again to stop at once',
    ]);
    expect(new Set(heard.map(({ pid }) => pid)).size).toBe(1);
  },
);

test('the gateway killed takes the child with it; stopped, it is not called alive', async () => {
  const { address, heard } = await manager(false);
  const program = await start({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '200000' });
  await until('alive', () => heard.some(({ text }) => text === 'WATCHDOG=1'));
  const [{ pid = 0 } = {}] = heard;
  expect(childrenOf(program.child.pid)).toContain(String(pid));
  program.child.kill('SIGSTOP');
  // What was on its way has come, and then the time of ten beats.
  await delay(300);
  const before = heard.length;
  await delay(1000);
  expect(heard.length).toBe(before);
  program.child.kill('SIGKILL');
  await program.ended;
  await until('the child is gone', () => contentOf(`/proc/${pid}/stat`) === '');
});

test('a watchdog for another process is not fed', async () => {
  const { address, heard } = await manager(false);
  await start({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' });
  await until('ready', () => heard.length > 0);
  // The time of ten beats.
  await delay(500);
  expect(heard.map(({ text }) => text).filter((text) => text === 'WATCHDOG=1')).toEqual([]);
});

test.each([
  ['without systemd there is no such child', {}],
  ['nor for an address that is none', { NOTIFY_SOCKET: 'vsock:2:3' }],
])('%s', async (_what, env) => {
  const { child } = await start(env);
  const commands = childrenOf(child.pid).map((pid) => contentOf(`/proc/${pid}/cmdline`));
  expect(commands.filter((command) => command.startsWith('/usr/bin/perl'))).toEqual([]);
});

test('a socket that is not there hinders nothing', async () => {
  const program = await start({ NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '50000' });
  expect((await fetch(`${program.url}/readyz`)).status).toBe(200);
  program.child.kill('SIGTERM');
  expect(await program.ended).toBe(0);
});
