import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';

let gateway: TestGateway;
let agent: Client;
let viewer: Client;
let cast: string;
beforeEach(async () => {
  gateway = await startGateway('--slots', '1');
  agent = await gateway.client();
  viewer = await gateway.client(await gateway.mint({ role: 'viewer', ttlMs: 60_000 }));
  ({ cast } = await agent.call('slot.acquire', {}));
});
afterEach(() => gateway?.close());

const output = (process: string, more: object = {}) => viewer.call('cast.output', { cast, process, ...more });
const fault = (name: string) => expect.objectContaining({ fault: name });

test('a viewer reads what an exec printed as long as its lease lives, and is told so afterwards', async () => {
  await agent.call('exec.run', { command: 'echo out; echo err >&2; exit 3' });
  expect(await output('p1')).toEqual({
    process: 'p1',
    command: 'echo out; echo err >&2; exit 3',
    outcome: 'exited',
    exitCode: 3,
    stdout: 'out\n',
    stderr: 'err\n',
    truncated: false,
  });
  await expect(output('p2')).rejects.toEqual(fault('PROCESS_NOT_FOUND'));
  await agent.call('slot.release', {});
  await expect(output('p1')).rejects.toEqual(fault('PROCESS_NOT_FOUND'));
  await expect(output('p1')).rejects.toThrow(/kept only as long as its lease/);
  await expect(output('p2')).rejects.toThrow(/has no command p2/);
});

test('a command that runs shows its output so far', async () => {
  const { process } = await agent.call('exec.start', { command: 'echo begun; read line; echo "$line"', stdin: 'open' });
  await until('the first line', async () => (await output(process)).stdout === 'begun\n');
  expect(await output(process)).toMatchObject({ outcome: 'running', exitCode: null });
  await agent.call('exec.write', { process, data: 'ended\n', eof: true });
  await agent.call('exec.wait', { process });
  expect(await output(process)).toMatchObject({ outcome: 'exited', stdout: 'begun\nended\n' });

  const run = agent.call('terminal.run', { command: 'echo begun; until [ -e go ]; do sleep 0.01; done; echo ended' });
  await until('the first line', async () => (await output('r1').catch(() => null))?.stdout === 'begun\n');
  expect(await output('r1')).toMatchObject({ outcome: 'running', exitCode: null, stderr: '' });
  await agent.call('exec.run', { command: 'touch go' });
  await run;
  expect(await output('r1')).toMatchObject({ outcome: 'exited', exitCode: 0, stdout: 'begun\nended\n' });
});

test('a terminal.run keeps its output after the end of the lease: its own alone, without escape sequences', async () => {
  await agent.call('terminal.run', { command: 'echo before' });
  await agent.call('terminal.run', {
    command: [
      'printf "\\e[1;32mgreen\\e[0m\\n"',
      'printf "10%%\\r99%%\\rdone\\n"',
      'printf "\\e]0;title\\a\\e]52;c;c2VjcmV0\\a"',
      'printf "\\e]133;D;0;k=0123456789abcdef\\a\\e]133;D;"; printf "%0200d\\n" 7',
      'false',
    ].join('\n'),
  });
  await agent.call('terminal.run', { command: 'printf "no newline"' });
  await agent.call('terminal.run', { command: 'seq 3000' });
  await agent.call('terminal.run', { command: ':' });
  await agent.call('slot.release', {});
  const stdout = async (process: string) => (await output(process)).stdout;
  expect(await stdout('r1')).toBe('before\n');
  const { stdout: second, ...rest } = await output('r2');
  expect(second).toMatch(/^green\ndone\n/);
  expect(second).not.toMatch(/\x1b|\x07|secret|title|c2Vj|__slotcast|\$ $/);
  expect(rest).toEqual({
    process: 'r2',
    command: 'printf "\\e[1;32mgreen\\e[0m\\n"',
    outcome: 'exited',
    exitCode: 1,
    stderr: '',
    truncated: false,
  });
  expect(await stdout('r3')).toBe('no newline');
  expect(await stdout('r4')).toBe(Array.from({ length: 3000 }, (_, index) => `${index + 1}\n`).join(''));
  expect(await stdout('r5')).toBe('');
  const cut = await output('r4', { maxBytes: 20 });
  expect(cut).toMatchObject({ truncated: true });
  expect(cut.stdout).toMatch(/^1\n2\n3\n4\n5\n\n\[… \d+ bytes left out …\]\n2999\n3000\n$/);
});

test('the output of an exec is cut to head and tail, and sets no clipboard of who reads it', async () => {
  await agent.call('exec.run', { command: 'seq 3000; printf "a\\e]52;c;c2VjcmV0\\ab" >&2' });
  const { stdout, stderr, truncated } = await output('p1', { maxBytes: 20 });
  expect(truncated).toBe(true);
  expect(stdout).toMatch(/^1\n2\n3\n4\n5\n\n\[… \d+ bytes left out …\]\n2999\n3000\n$/);
  expect((await output('p1')).stderr).toBe('ab');
  expect(stderr).not.toContain('\x1b]52');
  expect(await output('p1', { maxBytes: 0 })).toMatchObject({ truncated: true });
});

test('a token of another slot can not tell the recording from none', async () => {
  await agent.call('exec.run', { command: 'echo secret' });
  const other = await gateway.client(await gateway.mint({ role: 'viewer', slot: 'slot_9', ttlMs: 60_000 }));
  const asked = (name: string) => other.call('cast.output', { cast: name, process: 'p1' }).catch((error) => error);
  expect(await asked(cast)).toEqual(fault('CAST_NOT_FOUND'));
  expect((await asked(cast)).message).toBe((await asked('cast_none')).message);
});

test('the screen at a moment comes as plain rows when asked for', async () => {
  await agent.call('terminal.run', { command: 'clear; printf "\\e[31mred\\e[0m   \\n\\nend"' });
  const { text } = await viewer.call('cast.seek', { cast, time: 1e6, text: true });
  expect(text).toBe('red\n\nend~ $');
  expect(await viewer.call('cast.seek', { cast, time: 1e6 })).not.toHaveProperty('text');
});
