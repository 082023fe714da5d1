// Recordings that a keeper which died has left, on a disk that has no room for their end.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LocalKeeper } from '../../../server/keeper/local-keeper.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { until } from './until.ts';
import { verdictOn } from './verdict.ts';

/** Of a page of the file system: a file of so many bytes takes one more only with another page. */
const PAGE_BYTES = 4096;

test('a recording that the full disk did not take the end of is sealed when something is recorded again', async (context) => {
  const disk = smallDisk(context, 4);
  const header = '{"version":3,"term":{"cols":80,"rows":24}}\n';
  const event = (text: string): string => `[0.5, "o", "${text}"]\n`;
  const left = header + event('x'.repeat(PAGE_BYTES - header.length - event('').length));
  const path = join(disk.path, 'casts', 'cast_1.cast');
  mkdirSync(join(disk.path, 'casts'));
  writeFileSync(path, left);
  disk.fill();
  const problems: string[] = [];
  const keeper = await LocalKeeper.open({
    dataDir: disk.path,
    policy: { sandbox: 'none', mounts: [], network: 'none' },
    log: { error: (_detail, message) => void problems.push(message) },
  });
  onTestFinished(() => keeper.close());
  expect(problems).toEqual([expect.stringContaining('cast_1.cast could not be recovered')]);
  expect(readFileSync(path, 'utf8')).toBe(left);
  disk.free();
  await keeper.openLog({ cast: 'cast_2', slot: 'slot_0', label: null, cols: 80, rows: 24 });
  await until(() => readFileSync(path, 'utf8').includes('ended without notice'), 'it is sealed');
  await until(() => verdictOn(path).sealed, 'it is sealed');
  expect(readFileSync(path, 'utf8').startsWith(left)).toBe(true);
  expect(problems).toHaveLength(1);
});
