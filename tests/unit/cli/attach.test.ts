// slotcast attach on a real terminal.
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../../support/gateway.ts';
import { environmentOf, PROGRAM } from './slotcast.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway('--slots', '1');
});
afterAll(() => gateway?.close());

/** The program on a terminal whose settings are printed when it has ended. */
function attach(...args: string[]) {
  const script = `stty -a > /dev/null; before=$(stty -g); "$@"; code=$?; [ "$(stty -g)" = "$before" ] && echo "restored, exit $code"`;
  const command = ['-c', script, 'sh', process.execPath, PROGRAM, 'attach', ...args];
  const terminal = spawn('sh', command, { cols: 90, rows: 25, env: environmentOf(gateway), cwd: '/' });
  let shown = '';
  terminal.onData((data) => {
    shown += data;
  });
  const ended = new Promise<void>((resolve) => terminal.onExit(() => resolve()));
  return { terminal, ended, shown: () => shown, sees: (text: string) => until(text, () => shown.includes(text)) };
}

test('what is typed is run in the slot, the size follows the window, and C-] gives everything back', async () => {
  const { terminal, ended, shown, sees } = attach('new');
  await sees('$ ');
  terminal.write('echo size-$(stty size | tr " " x)\r');
  await sees('size-25x90');
  terminal.resize(70, 20);
  await until('the new size', async () => (await (await gateway.client()).slots())[0]?.terminal?.cols === 70);
  terminal.write('printf "\\033[?1049h\\033[?25l\\033[6nfull screen"\r');
  await sees('\x1b[?1049h');
  terminal.write('\x1d');
  await sees('restored, exit 0');
  await ended;
  expect(shown()).toContain('detached; slot_0 was released and emptied');
  // The query never reached this terminal, and it was left in order.
  expect(shown()).not.toContain('\x1b[6n');
  expect(shown().lastIndexOf('\x1b[?1049l')).toBeGreaterThan(shown().lastIndexOf('\x1b[?1049h'));
  expect(shown().lastIndexOf('\x1b[?25h')).toBeGreaterThan(shown().lastIndexOf('\x1b[?25l'));
});

test("the shell's end ends it with the same code", async () => {
  const { terminal, ended, sees } = attach('slot_0');
  await sees('$ ');
  terminal.write('exit 5\r');
  await sees('restored, exit 5');
  await ended;
});

test('another key may detach, and C-] is typed then', async () => {
  const { terminal, ended, sees } = attach('--detach-key', 'C-a', 'new');
  await sees('$ ');
  terminal.write('cat -v\r');
  await sees('cat -v');
  terminal.write('\x1d\r');
  await sees('^]');
  terminal.write('\x01');
  await sees('restored, exit 0');
  await ended;
});

test('what is typed while somebody else drives goes nowhere, and one who leaves then does not wait', async () => {
  const { terminal, ended, shown, sees } = attach('slot_0');
  await sees('$ ');
  const other = await gateway.client();
  const driven = await other.takeover({ slot: 'slot_0' });
  await sees('[taken over');
  const bells = (): number => shown().split('\x07').length;
  const before = bells();
  terminal.write('echo lo""st\r');
  await until('the bell', () => bells() > before);
  await driven.giveBack();
  await sees('[given back]');
  terminal.write('echo my tu""rn\r');
  await sees('my turn');
  expect(shown()).not.toContain('lost');
  const again = await other.takeover({ slot: 'slot_0' });
  await until('the second one', () => shown().split('[taken over').length === 3);
  terminal.write('\x1d');
  await sees('restored, exit 0');
  await ended;
  expect(shown()).toContain('detached; slot_0 is left to who took it over');
  await again.release();
});
