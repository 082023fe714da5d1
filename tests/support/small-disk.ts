// A real file system of some megabytes, which a test can fill to its last byte and free again. Where none can be mounted the test is skipped,
// and says why.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';

export interface SmallDisk {
  readonly path: string;
  /** Until not one byte more is taken. */
  fill(): void;
  free(): void;
}

/** Gone when the test has finished. `inodes`: files and directories that it takes. */
export function smallDisk(context: TestContext, sizeMib: number, inodes?: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'slotcast-disk-'));
  const options = `size=${sizeMib}m,mode=711${inodes === undefined ? '' : `,nr_inodes=${inodes}`}`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'slotcast-test', path], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(path);
    context.skip(`no small disk can be mounted here: ${(error as Error).message.split('\n')[1] ?? 'mount failed'}`);
  }
  context.onTestFinished(() => {
    execFileSync('umount', ['--lazy', path]);
    rmdirSync(path);
  });
  const ballast = join(path, 'ballast');
  return { path, fill: () => fill(ballast), free: () => rmSync(ballast, { force: true }) };
}

function fill(ballast: string): void {
  const file = openSync(ballast, 'w');
  try {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 16)) whileItFits(file, Buffer.alloc(size));
  } finally {
    closeSync(file);
  }
}

function whileItFits(file: number, bytes: Buffer): void {
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
