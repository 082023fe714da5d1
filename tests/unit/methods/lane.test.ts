import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Lane } from '../../../server/methods/lane.ts';

describe('costly calls', () => {
  test('of one party run a few at a time, also when it asks for a thousand', async () => {
    const lane = new Lane();
    let running = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await nextTurn();
      await nextTurn();
      running--;
    };
    await Promise.all(Array.from({ length: 1000 }, () => lane.run('a', work)));
    expect([most <= 4, most > 1, running]).toEqual([true, true, 0]);
  });

  test('of another party do not wait behind them', async () => {
    const lane = new Lane();
    const order: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      await nextTurn();
      order.push(name);
    };
    const flood = Array.from({ length: 200 }, () => lane.run('flood', work('flood')));
    await lane.run('one', work('one'));
    expect(order.length).toBeLessThan(12);
    await Promise.all(flood);
  });

  test('that fail make room as well', async () => {
    const lane = new Lane();
    const failing = Array.from({ length: 20 }, () => lane.run('a', () => Promise.reject(new Error('no'))));
    expect((await Promise.allSettled(failing)).every(({ status }) => status === 'rejected')).toBe(true);
    expect(await lane.run('a', async () => 'done')).toBe('done');
  });

  test('let the event loop have its turns in between', async () => {
    const lane = new Lane();
    let turns = 0;
    let isOn = true;
    const count = (): void => {
      turns++;
      if (isOn) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(Array.from({ length: 50 }, () => lane.run('a', async () => undefined)));
    isOn = false;
    expect(turns).toBeGreaterThanOrEqual(49);
  });

  test('that give pieces end their source when nobody reads on', async () => {
    const lane = new Lane();
    let isClosed = false;
    const source = (async function* () {
      try {
        for (let piece = 0; ; piece++) yield piece;
      } finally {
        isClosed = true;
      }
    })();
    for await (const piece of lane.pieces('a', source)) if (piece === 3) break;
    expect(isClosed).toBe(true);
  });
});
