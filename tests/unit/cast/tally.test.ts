import { expect, test } from 'vitest';
import { MAX_TEXT_CHARS, Tally } from '../../../server/cast/tally.ts';

function tallyOf(...labels: string[]): Tally {
  const tally = new Tally();
  for (const label of labels) tally.take(label);
  return tally;
}

test.each([
  ['exited 0 1ms', 0],
  ['exited 1 1ms', 1],
  ['signaled KILL 1ms', 1],
  ['timedOut 1ms', 1],
  ['lost 1ms', 1],
])('a command that %s counts %i failed', (end, failed) => {
  const tally = tallyOf('p1 $ ls', `p1 ${end}`);
  expect([tally.commands, tally.failed(true), tally.failed(false)]).toEqual([1, failed, failed]);
});

test('a command without an end is lost once the recording is over', () => {
  const tally = tallyOf('p1 $ ls', 'r1 $ ls', 'p1 exited 0 1ms');
  expect([tally.failed(true), tally.failed(false)]).toEqual([0, 1]);
});

test('markers of other kinds, and ends without a beginning, are no commands', () => {
  const tally = tallyOf('slot reset', 'p7 exited 1 1ms', 'p1 $ ls', 'p1 exited 1 1ms', 'p1 exited 1 1ms');
  expect([tally.commands, tally.failed(false)]).toEqual([1, 1]);
});

test('each command is kept once, in small letters, within a bound', () => {
  expect(tallyOf('p1 $ Make', 'p2 $ make', 'p3 $ npm test').text()).toBe('make\nnpm test');
  const tally = new Tally();
  for (let number = 0; number < 10_000; number++) tally.take(`p${number} $ ${number} ${'x'.repeat(190)}`);
  expect(tally.text().length).toBeLessThan(MAX_TEXT_CHARS);
  expect(tally.text()).toContain('\n2000 x');
  expect(tally.commands).toBe(10_000);
});
