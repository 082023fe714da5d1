import { afterEach, beforeEach, expect, test } from 'vitest';
import { childrenOf, statOf } from '../../../server/keeper/foreground.ts';
import { PtyChild, type PtyChildOptions } from '../../../server/keeper/pty-child.ts';
import { PtyStock } from '../../../server/keeper/pty-start.ts';
import { ManualClock } from './manual-clock.ts';
import { openTerminals } from './open-terminals.ts';
import { until } from './until.ts';

const SHOW = 'pwd; stty size; env | sort; ls /proc/self/fd | wc -l; exit 3';
let clock: ManualClock;
let stock: PtyStock;

beforeEach(() => {
  clock = new ManualClock();
  stock = new PtyStock(clock);
});

afterEach(async () => {
  stock.close();
  await until(() => children().length === 0, 'none of them lives any more');
  expect(openTerminals()).toBe(0);
});

/** Those of ours that wait for an order, or run one. */
const children = (): number[] => (childrenOf(process.pid) ?? []).filter((pid) => statOf(pid)?.alive);

async function run(script: string, options: Partial<PtyChildOptions> = {}) {
  let text = '';
  const child = new PtyChild({
    ...{ file: '/bin/sh', args: ['-c', script], env: { A: 'b=c', UMLAUT: 'ü' }, cwd: '/usr', cols: 91, rows: 17 },
    ...{ clock, stock, ...options },
    output: (bytes: Buffer) => {
      text += bytes;
      options.output?.(bytes);
    },
  });
  const exit = await child.exited;
  return { pid: child.pid, exit, text };
}

/** The one that stands ready when a terminal has ended. */
async function ready(): Promise<number> {
  await run('echo');
  const [pid = 0, ...others] = children();
  expect(others).toEqual([]);
  return pid;
}

test('the one that stood ready does as told, like one that is begun anew', async () => {
  const anew = await run(SHOW);
  const pid = await ready();
  const stood = await run(SHOW);
  expect(stood).toEqual({ ...anew, pid });
  expect(stood.exit).toEqual({ exitCode: 3, signal: 0 });
  expect(stood.text).toMatch(/^\/usr\r\n17 91\r\nA=b=c\r\n/);
  expect(stood.text).toContain('UMLAUT=ü\r\n');
});

test('one of another kind is not what was asked for', async () => {
  const pid = await ready();
  const other = await run('echo ran', { entry: { program: 'syswrite STDOUT, "first\\n";', args: [] } });
  expect(other.text).toBe('first\r\nran\r\n');
  expect(other.pid).not.toBe(pid);
});

test('one that was killed while it stood ready is not given out', async () => {
  const pid = await ready();
  process.kill(pid, 'SIGKILL');
  await until(() => children().length === 0, 'its end');
  const { exit, text } = await run('echo ran');
  expect({ exit, text }).toEqual({ exit: { exitCode: 0, signal: 0 }, text: 'ran\r\n' });
});

test('a directory that is not there is told on the terminal, and nothing runs', async () => {
  const { exit, text } = await run('echo ran', { cwd: '/no/such/directory' });
  expect(exit).toEqual({ exitCode: 125, signal: 0 });
  expect(text).toBe('slotcast: /no/such/directory: No such file or directory\r\n');
});

test('one stands ready behind a start, and it is the only one', async () => {
  let begun: () => void = () => undefined;
  const word = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const ended = run('echo; read key', { output: () => begun() });
  await word;
  const [pid = 0, ...none] = children();
  expect(none).toEqual([]);
  clock.advance(19);
  expect(children()).toEqual([pid]);
  clock.advance(1);
  expect(children()).toHaveLength(2);
  process.kill(-pid, 'SIGKILL');
  await ended;
  expect(children()).toHaveLength(1);
});

test('none stands ready after the end', async () => {
  await ready();
  stock.close();
  await run('echo');
  clock.advance(1000);
  expect(children()).toEqual([]);
});
