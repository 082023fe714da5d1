// Who holds a file by its process: one at a time, also when the disk takes not one byte more.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { holderOf, takePidFile } from '../../../server/keeper/pid-file.ts';
import { smallDisk } from '../../support/small-disk.ts';

/** Later than any process. */
const DEAD = `${process.pid} 99999999999999\n`;

function onSmallDisk(context: TestContext) {
  const disk = smallDisk(context, 1);
  return { disk, file: join(disk.path, 'one.pid'), names: () => readdirSync(disk.path).sort() };
}

test('on a full disk it is taken from a process that is dead, and nobody else has it then', (context) => {
  const { disk, file, names } = onSmallDisk(context);
  writeFileSync(file, DEAD);
  disk.fill();
  const claim = takePidFile(file);
  expect(claim).not.toBeNull();
  expect(holderOf(file)).toBe(process.pid);
  expect(readFileSync(file, 'utf8')).toMatch(/^\d+ \d+\n$/);
  expect(names()).toEqual(['ballast', 'one.pid']);
  claim?.close();
  expect(names()).toEqual(['ballast']);
});

test('on a full disk it is not taken from one that lives', (context) => {
  const { disk, file, names } = onSmallDisk(context);
  const held = takePidFile(file);
  const content = readFileSync(file, 'utf8');
  disk.fill();
  expect(takePidFile(file)).toBeNull();
  expect(readFileSync(file, 'utf8')).toBe(content);
  expect(names()).toEqual(['ballast', 'one.pid']);
  held?.close();
});

test('on a full disk without such a file it says what there is no room for, and leaves nothing', (context) => {
  const { disk, file, names } = onSmallDisk(context);
  disk.fill();
  expect(() => takePidFile(file)).toThrow(`the disk is full: there is no room for ${file}`);
  expect(names()).toEqual(['ballast']);
});
