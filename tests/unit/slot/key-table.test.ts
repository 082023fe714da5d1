import { expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { KeyTable } from '../../../server/slot/key-table.ts';

const asked = (params: object) => ({ method: 'exec.run', params });

test('a second call with the same key joins the first and runs nothing', async () => {
  const keys = new KeyTable();
  let runs = 0;
  const work = async () => ++runs;
  const both = await Promise.all([
    keys.once('k', asked({ a: 1, b: 2 }), work),
    keys.once('k', asked({ b: 2, a: 1 }), work),
  ]);
  expect(both).toEqual([1, 1]);
  expect(await keys.once('k', asked({ a: 1, b: 2 }), work)).toBe(1);
});

test('the same key with other params is KEY_CONFLICT', async () => {
  const keys = new KeyTable();
  await keys.once('k', asked({ a: 1 }), async () => 1);
  expect(() => keys.once('k', asked({ a: 2 }), async () => 2)).toThrow(Fault);
});

test('a call that failed frees its key, since nothing was done', async () => {
  const keys = new KeyTable();
  await expect(keys.once('k', asked({}), () => Promise.reject(new Fault('TOO_MANY_PROCESSES')))).rejects.toThrow();
  expect(await keys.once('k', asked({}), async () => 'ran')).toBe('ran');
});

test('calls without a key are never joined', async () => {
  const keys = new KeyTable();
  let runs = 0;
  await keys.once(undefined, asked({}), async () => ++runs);
  expect(await keys.once(undefined, asked({}), async () => ++runs)).toBe(2);
});
