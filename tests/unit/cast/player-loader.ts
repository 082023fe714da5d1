// The asciinema player's own loader of segmented recordings, taken out of its package: it throws at whatever breaks the format.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface PlayerSegment {
  readonly snapshot: { readonly cols: number; readonly rows: number; readonly init: string };
  /** Milliseconds; a marker's data is `{index, time, label}`. */
  readonly events: readonly (readonly [time: number, code: string, data: unknown])[];
}

export interface PlayerRecording {
  readonly cols: number;
  readonly rows: number;
  readonly duration: number;
  readonly markers: readonly (readonly [time: number, label: string])[];
  readonly segments: readonly { readonly start: number; readonly url: string }[];
  loadSegment(index: number): Promise<PlayerSegment>;
}

export async function loadAsPlayer(url: string): Promise<PlayerRecording> {
  const dist = dirname(createRequire(import.meta.url).resolve('asciinema-player'));
  const name = readdirSync(dist).find((file) => file.startsWith('core-')) ?? '';
  const source = readFileSync(join(dist, name), 'utf8').replaceAll(/from '\.\/(.*?)'/g, (_, file: string) => {
    return `from '${pathToFileURL(join(dist, file)).href}'`;
  });
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-player-'));
  try {
    writeFileSync(join(directory, 'core.mjs'), `${source}\nexport { loadSegmentedRecording };\n`);
    const { loadSegmentedRecording } = await import(/* @vite-ignore */ pathToFileURL(join(directory, 'core.mjs')).href);
    return await loadSegmentedRecording({ url });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
