// A workspace of a thousand small files as one archive.
import { execFile } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { newDirectory } from '../gateway.mjs';
import { timed } from '../sample.mjs';

const run = promisify(execFile);
/** Files of 2 KB that can be compressed a bit, as text can. */
const FILL = `for my $n (1..1000) { open my $f, ">", "file_$n"; print $f map { chr(97 + int rand 26) } 1..2048 }`;
const command = `perl -e '${FILL}'`;

export const line = {
  what: 'archive 1,000 files of 2 KB',
  unit: 'ms',
  aim: { p50: 100 },
  blocks: 10,
  samples: 2,
  warmUp: 1,
  async open(bench) {
    const directory = newDirectory();
    bench.hold({ close: () => rmSync(directory, { recursive: true, force: true }) });
    chmodSync(directory, 0o755);
    await run('perl', ['-e', FILL], { cwd: directory });
    const gateway = await bench.gateway();
    const slot = await (await gateway.connect()).acquire();
    await slot.exec.run({ command });
    const pack = ['tar', ['-czf', '-', '.'], { cwd: directory, encoding: 'buffer', maxBuffer: 2 ** 26 }];
    return {
      floor: (count) => timed(count, () => run(...pack)),
      slotcast: (count) => timed(count, () => slot.artifact.archive()),
    };
  },
  http: {
    side: async (api) => {
      await api.execute(0, 'bash', { command });
      return (count) => timed(count, () => api.archive(0, '.'));
    },
  },
};
