import { expect, test } from 'vitest';
import { playable } from '../../../protocol/player-text.ts';
import { playerVt } from '../screen/player-vt.ts';

const BAD = 65_520;

test('lengths on which the player hangs get something behind them that is not seen', async () => {
  const texts = [
    'y'.repeat(BAD),
    'y'.repeat(BAD + 65_536),
    `é${'y'.repeat(BAD / 3 - 1)}`,
    `${'y'.repeat(30)}é${'y'.repeat((BAD - 30) / 3 - 1)}`,
    '漢'.repeat(BAD / 3),
  ];
  for (const text of texts) {
    const safe = playable(text);
    expect([safe.startsWith(text), safe.slice(text.length)]).toEqual([true, '\0']);
    // It would not come back from one that is not safe.
    const vt = await playerVt(80, 24);
    vt.feed(safe);
    const other = await playerVt(80, 24);
    other.feed(text.slice(0, 1000));
    other.feed(text.slice(1000));
    expect(vt.getCursor()).toEqual(other.getCursor());
  }
});

test('every other text is as it was', () => {
  for (const text of [
    '',
    'a\x1b[1m',
    'y'.repeat(BAD - 1),
    'y'.repeat(BAD + 1),
    'é'.repeat(BAD / 3 - 1),
    'é'.repeat(40_000),
  ]) {
    expect(playable(text)).toBe(text);
  }
});
