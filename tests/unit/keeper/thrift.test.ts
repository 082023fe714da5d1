import { expect, test } from 'vitest';
import { beThrifty } from '../../../server/keeper/thrift.ts';
import { until } from './until.ts';

test('what a busy moment has left is gone soon after it', async () => {
  const thrift = beThrifty({ whenBusy: false });
  const left = new WeakRef(Array.from({ length: 1000 }, () => new Uint8Array(16 * 1024).fill(1)));
  expect(left.deref()).toHaveLength(1000);
  await until(() => left.deref() === undefined, 'it is collected', 20_000);
  thrift.close();
});
