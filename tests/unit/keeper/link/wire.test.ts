import { expect, test } from 'vitest';
import {
  BYTES_BEHIND,
  encodeMessage,
  LinkError,
  MAX_MESSAGE_BYTES,
  MessageDecoder,
} from '../../../../server/keeper/link/wire.ts';

const messages = [
  { id: 1, name: 'startProcess', params: { run: { command: 'echo ä\0漢' }, input: Buffer.from([0, 255]) } },
  { name: 'note', params: { cast: 'cast_1', text: null } },
  { re: 1, ok: 12.5 },
];
const bytes = Buffer.concat(messages.flatMap((message) => encodeMessage(message)));

test('messages arrive as they were sent, however the bytes are cut', () => {
  for (const size of [1, 2, 3, 5, 7, 64, bytes.length]) {
    const decoder = new MessageDecoder();
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      for (const message of decoder.decode(bytes.subarray(at, at + size))) found.push(message);
    }
    expect(found).toEqual([
      { ...messages[0], params: { ...messages[0]?.params, input: Buffer.from([0, 255]) } },
      ...messages.slice(1),
    ]);
  }
});

test('a field that is undefined is left out', () => {
  const decoder = new MessageDecoder();
  expect([...decoder.decode(Buffer.concat(encodeMessage({ a: undefined, b: 1 })))]).toEqual([{ b: 1 }]);
});

test.each([0, 1, 255, 70_000])('%i bytes that are not copied into their message arrive as its last value', (size) => {
  const data = Buffer.alloc(size, 7);
  const parts = encodeMessage({ name: 'chunk', params: { as: 1, data: BYTES_BEHIND } }, data);
  expect(parts.at(-1)).toBe(data);
  const whole = Buffer.concat([...parts, ...encodeMessage({ re: 1, ok: null })]);
  expect([...new MessageDecoder().decode(whole)]).toEqual([
    { name: 'chunk', params: { as: 1, data } },
    { re: 1, ok: null },
  ]);
});

test('a length that no message has, and bytes that are none, end the link instead of filling memory', () => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(MAX_MESSAGE_BYTES + 1);
  expect(() => [...new MessageDecoder().decode(length)]).toThrow(LinkError);
  expect(() => [...new MessageDecoder().decode(Buffer.from([0, 0, 0, 1, 0xc1]))]).toThrow(LinkError);
  expect(() => [...new MessageDecoder().decode(Buffer.from([0, 0, 0, 0]))]).toThrow(LinkError);
});
