// A host's clock that a test sets, for programs that it starts: libfaketime before the C library. Time itself, the monotonic clock, goes on as ever.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HostClock {
  /** For the environment of a program. */
  readonly env: Readonly<Record<string, string>>;
  /** Sets it by this much from the true time on: `+1d`, `-10y`. */
  set(offset: string): void;
  close(): void;
}

export function hostClock(): HostClock {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-clock-'));
  const file = join(directory, 'offset');
  // Read at every look, so never half of it.
  const set = (offset: string): void => {
    writeFileSync(`${file}.new`, offset);
    renameSync(`${file}.new`, file);
  };
  set('+0');
  const library = execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD']).toString().trim();
  return {
    env: {
      LD_PRELOAD: library.replace('libfaketime.so', 'libfaketimeMT.so'),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DISABLE_SHM: '1',
    },
    set,
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}
