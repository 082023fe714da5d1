// JSON-RPC envelopes: what is a call, what is refused and how, and what goes back.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeBatch,
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
  type Incoming,
  MAX_BATCH,
  MAX_CONTAINERS,
  MAX_DEPTH,
  parseEnvelope,
  parseOutgoing,
} from '../../../protocol/envelope.ts';
import { Fault } from '../../../protocol/fault.ts';

const call = (fields: object): string => JSON.stringify({ jsonrpc: '2.0', ...fields });

function one(text: string): Incoming {
  const envelope = parseEnvelope(text);
  if (envelope.kind === 'batch') throw new Error('a batch');
  return envelope.message;
}

const faultOf = (message: Incoming | undefined): unknown =>
  message?.kind === 'invalid' ? [message.fault.fault, message.id] : message?.kind;

test('a request keeps id, method and params', () => {
  expect(one(call({ id: 7, method: 'a.b', params: { x: 1 } }))).toEqual({
    kind: 'request',
    id: 7,
    method: 'a.b',
    params: { x: 1 },
  });
});

test('without an id it is a notification', () => {
  expect(one(call({ method: 'a.b' }))).toEqual({ kind: 'notification', method: 'a.b', params: undefined });
});

describe('what is no call is refused with the id that could be read', () => {
  test.each([
    ['{"jsonrpc":', ['PARSE_ERROR', null]],
    ['', ['PARSE_ERROR', null]],
    ['"unfinished', ['PARSE_ERROR', null]],
    ['"ends in a backslash\\"', ['PARSE_ERROR', null]],
    ['[]', ['INVALID_REQUEST', null]],
    ['1', ['INVALID_REQUEST', null]],
    ['null', ['INVALID_REQUEST', null]],
    ['"text"', ['INVALID_REQUEST', null]],
    ['{"id":1,"method":"a"}', ['INVALID_REQUEST', 1]],
    [call({ id: 1 }), ['INVALID_REQUEST', 1]],
    [call({ id: 'x', method: 5 }), ['INVALID_REQUEST', 'x']],
    [call({ id: null, method: 'a' }), ['INVALID_REQUEST', null]],
    [call({ id: {}, method: 'a' }), ['INVALID_REQUEST', null]],
    [call({ id: true, method: 'a' }), ['INVALID_REQUEST', null]],
    [call({ id: 'x'.repeat(1001), method: 'a' }), ['INVALID_REQUEST', null]],
    ['{"jsonrpc":"2.0","id":1e999,"method":"a"}', ['INVALID_REQUEST', null]],
    [call({ id: 1, method: 'a', params: 'text' }), ['INVALID_REQUEST', 1]],
    [call({ id: 1, method: 'a', params: null }), ['INVALID_REQUEST', 1]],
    [call({ id: 1, result: {} }), ['INVALID_REQUEST', 1]],
  ])('%s', (text, expected) => {
    expect(faultOf(one(text))).toEqual(expected);
  });
});

test('members of a batch are judged one by one', () => {
  const envelope = parseEnvelope(`[1,${call({ id: 1, method: 'a' })},${call({ method: 'b' })},[]]`);
  if (envelope.kind !== 'batch') throw new Error('no batch');
  expect(envelope.messages.map(faultOf)).toEqual([
    ['INVALID_REQUEST', null],
    'request',
    'notification',
    ['INVALID_REQUEST', null],
  ]);
});

test('a batch that is too long is one error that names the limit', () => {
  const message = one(JSON.stringify(Array(100_000 - 1).fill({})));
  expect(faultOf(message)).toEqual(['INVALID_REQUEST', null]);
  expect(message.kind === 'invalid' && message.fault.message).toContain(String(MAX_BATCH));
});

test('nesting up to the limit is read, beyond it is refused before it is parsed', () => {
  const nested = (depth: number): string =>
    `{"jsonrpc":"2.0","id":1,"method":"a","params":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expect(faultOf(one(nested(MAX_DEPTH - 1)))).toBe('request');
  expect(faultOf(one(nested(MAX_DEPTH)))).toEqual(['INVALID_REQUEST', null]);
  expect(faultOf(one('['.repeat(10_000_000)))).toEqual(['INVALID_REQUEST', null]);
});

test('a message of more containers than any call has is refused', () => {
  expect(faultOf(one(`[${'[],'.repeat(MAX_CONTAINERS)}[]]`))).toEqual(['INVALID_REQUEST', null]);
});

test('brackets and escaped quotes inside of strings count for nothing', () => {
  const data = `${'['.repeat(1000)}\\" \\\\" \\\\\\`;
  expect(one(call({ id: 1, method: 'a', params: { data } }))).toMatchObject({ params: { data } });
});

test('prototype keys are harmless', () => {
  const text =
    '{"jsonrpc":"2.0","id":1,"method":"a","params":{"__proto__":{"admin":true}},"__proto__":{"method":"b"},"constructor":1}';
  expect(one(text)).toMatchObject({ kind: 'request', method: 'a' });
  expect(Object.hasOwn({}, 'admin')).toBe(false);
  expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  expect(faultOf(one('{"__proto__":{"jsonrpc":"2.0","id":1,"method":"a"}}'))).toEqual(['INVALID_REQUEST', null]);
});

test('whatever text comes, reading it does not throw, and what JSON can say comes back as it was', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseEnvelope(text);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (params) => {
      fc.pre(params !== null && typeof params === 'object');
      const text = encodeRequest('1', 'a', params);
      expect(one(text)).toEqual({ kind: 'request', id: '1', method: 'a', params: JSON.parse(JSON.stringify(params)) });
    }),
  );
});

test('replies carry the fault with its name and advice', () => {
  const text = encodeError(3, new Fault('KEY_CONFLICT', 'Take another key.', { key: 'k' }));
  expect(JSON.parse(text)).toEqual({
    jsonrpc: '2.0',
    id: 3,
    error: { code: 1008, message: 'Take another key.', data: { key: 'k', name: 'KEY_CONFLICT', retry: 'no' } },
  });
});

test('a client reads back results, errors and notifications, alone and in a batch', () => {
  const fault = new Fault('NOT_BOUND');
  const text = encodeBatch([encodeResult(1, { a: 1 }), encodeError('x', fault), encodeNotification('n', {})]);
  expect(parseOutgoing(text)).toMatchObject([
    { kind: 'result', id: 1, result: { a: 1 } },
    { kind: 'error', id: 'x', error: { code: 1003 } },
    { kind: 'notification', method: 'n', params: {} },
  ]);
  expect(parseOutgoing(encodeResult(1, undefined))).toEqual([{ kind: 'result', id: 1, result: null }]);
  expect(() => parseOutgoing('{}')).toThrow(Fault);
  expect(() => parseOutgoing('no')).toThrow(Fault);
});
