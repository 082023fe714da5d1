import { expect, test } from 'vitest';
import { parseStatus } from '../../../../server/keeper/sandbox/status.ts';

test.each([
  ['', { childPid: null, exitCode: null }],
  ['{ "child-pid": 12, "net-namespace": 1 }\n', { childPid: 12, exitCode: null }],
  ['{ "child-pid": 12 }\n{ "exit-code": 0 }\n', { childPid: 12, exitCode: 0 }],
  ['{ "child-pid": 12 }\n{ "exit-c', { childPid: 12, exitCode: null }],
  ['{ "child-pid": -1 }\n{ "child-pid": 0 }\n{ "child-pid": 1 }\n', { childPid: null, exitCode: null }],
  ['{ "child-pid": 1.5, "exit-code": 1e999 }\n{ "exit-code": 256 }\n', { childPid: null, exitCode: null }],
  ['null\n"exit-code"\n', { childPid: null, exitCode: null }],
])('%j', (text, expected) => {
  expect(parseStatus(text)).toEqual(expected);
});
