// What the gateway believes of what comes from a runner.
import { expect, test } from 'vitest';
import { RunnerReport } from '../../../../server/keeper/sandbox/runner.ts';

test.each([
  ['ready\npid 7\nend 512\n', ['ready', 'pid', { waitStatus: 512 }]],
  ['end 9\n', [{ waitStatus: 9 }]],
  // Not a number would count as exit code 0.
  ['end\nend \nend x\nend -1\nend 1e3\nend 0x0\nend  0\nend 0 0\n', []],
  ['end 65536\nend 99999999999999999999\n', []],
  // Stopped, and continued.
  ['end 4991\nend 65535\n', []],
  ['ready \nReady\npid\npid x\nreadyready\n', []],
  [`${'x'.repeat(100)}end 0\nready\n`, ['ready']],
  ['end 0', []],
])('%j is %j', (text, words) => {
  expect(new RunnerReport().take(text)).toEqual(words);
});

test('a line without an end is not held', () => {
  const report = new RunnerReport();
  for (let piece = 0; piece < 1000; piece++) expect(report.take('x'.repeat(10_000))).toEqual([]);
  expect(report.take('end 0\nend 256\n')).toEqual([{ waitStatus: 256 }]);
});
