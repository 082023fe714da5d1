import { expect, test } from 'vitest';
import { Fault } from '../../../protocol/fault.ts';
import { KeyTable } from '../../../server/slot/key-table.ts';

const { signal } = new AbortController();
const asked = (params: object, key: string | undefined = 'k') => ({ key, method: 'exec.run', params, signal });

test('a second call with the same key joins the first and runs nothing', async () => {
  const keys = new KeyTable();
  let runs = 0;
  const work = async () => ++runs;
  const both = await Promise.all([keys.once(asked({ a: 1, b: 2 }), work), keys.once(asked({ b: 2, a: 1 }), work)]);
  expect(both).toEqual([1, 1]);
  expect(await keys.once(asked({ a: 1, b: 2 }), work)).toBe(1);
});

test('the same key with other params is KEY_CONFLICT', async () => {
  const keys = new KeyTable();
  await keys.once(asked({ a: 1 }), async () => 1);
  await expect(keys.once(asked({ a: 2 }), async () => 2)).rejects.toThrow(Fault);
});

test('a call that failed frees its key, since nothing was done', async () => {
  const keys = new KeyTable();
  await expect(keys.once(asked({}), () => Promise.reject(new Fault('TOO_MANY_PROCESSES')))).rejects.toThrow();
  expect(await keys.once(asked({}), async () => 'ran')).toBe('ran');
});

test('calls without a key are never joined', async () => {
  const keys = new KeyTable();
  let runs = 0;
  await keys.once({ ...asked({}), key: undefined }, async () => ++runs);
  expect(await keys.once({ ...asked({}), key: undefined }, async () => ++runs)).toBe(2);
});

test('a caller that joined can stop the call', async () => {
  const keys = new KeyTable();
  const abort = new AbortController();
  const work = (joined: AbortSignal) =>
    new Promise((_resolve, reject) => joined.addEventListener('abort', () => reject(new Fault('CANCELLED'))));
  const first = keys.once(asked({}), work);
  const second = keys.once({ ...asked({}), signal: abort.signal }, work);
  abort.abort();
  await expect(first).rejects.toMatchObject({ fault: 'CANCELLED' });
  await expect(second).rejects.toMatchObject({ fault: 'CANCELLED' });
});

test('large results are forgotten, the oldest first, and calls that run are not', async () => {
  const keys = new KeyTable();
  let finish = (_result: object): void => {};
  const running = keys.once(
    asked({}, 'running'),
    () =>
      new Promise<object>((resolve) => {
        finish = resolve;
      }),
  );
  let runs = 0;
  const large = async () => ({ run: ++runs, stdout: 'x'.repeat(12 * 1024 * 1024) });
  for (const key of ['a', 'b', 'c']) await keys.once(asked({}, key), large);
  expect(await keys.once(asked({}, 'c'), large)).toMatchObject({ run: 3 });
  expect(await keys.once(asked({}, 'a'), large)).toMatchObject({ run: 4 });
  const joined = keys.once(asked({}, 'running'), large);
  finish({ run: 'first' });
  expect(await joined).toEqual({ run: 'first' });
  await running;
});
