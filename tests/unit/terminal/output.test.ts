import { expect, test } from 'vitest';
import { RunOutput } from '../../../server/terminal/output.ts';

function kept(chunks: readonly string[], maxBytes = 1000) {
  const output = new RunOutput(maxBytes, '/run/slotcast/7');
  for (const chunk of chunks) output.push(chunk);
  return output.end();
}

test.each([
  [['a\r\nb\r\n'], 'a\nb\n'],
  [['a\r', '\nb'], 'a\nb'],
  [['a\r', 'b'], 'a\rb'],
  [['a\r'], 'a\r'],
  [['a\r\r\n'], 'a\r\n'],
  [['\r', '\r', '\n', '\n'], '\r\n\n'],
  [[], ''],
])('%j becomes %j', (chunks, output) => {
  expect(kept(chunks)).toEqual({ output, outputBytes: Buffer.byteLength(output), truncated: false });
});

test.each([
  [['+ . /run/slotcast/7\r\n++ echo a\r\na\r\n'], '++ echo a\na\n'],
  [['+ :\r\n+ . /run', '/slotcast/7\r\n++ echo a\r\na\r\n'], '++ echo a\na\n'],
  [['+ . /run/slotcast/7\r', '\n'], ''],
  [['+ . /run/slotcast/77\r\n'], '+ . /run/slotcast/77\n'],
  [['x\r\n+ . /run/slotcast/7\r\n'], 'x\n+ . /run/slotcast/7\n'],
  [['is :\r\nx'], 'is :\nx'],
  [['is :\r\nx\r\n'], 'is :\nx\n'],
])('the trace of our own line is left out of %j', (chunks, output) => {
  expect(kept(chunks)).toMatchObject({ output, outputBytes: output.length });
});

test('head and tail are cut between characters', () => {
  expect(kept(['漢漢漢', '漢漢漢'], 10)).toEqual({
    output: '漢\n[… 12 bytes left out …]\n漢',
    outputBytes: 18,
    truncated: true,
  });
  expect(kept(['漢漢漢'], 9)).toMatchObject({ output: '漢漢漢', truncated: false });
});
