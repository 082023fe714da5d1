// The screen at any moment of a recording of 100 MB: of one that nobody has read before, of one that a gateway before has, and then.
import { createReadStream, existsSync, linkSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CAST, castFile, writeCast } from '../cast-file.mjs';
import { timed, until } from '../sample.mjs';

const BYTES = 100 * 2 ** 20;
/** What a gateway keeps beside it. */
const KEPT = ['digest', 'screens'];

export const line = {
  what: 'seek in a 100 MB cast',
  unit: 'ms',
  aim: { p50: 100 },
  blocks: 3,
  samples: 20,
  async open(bench) {
    let durationS = 0;
    const first = await bench.gateway({
      before: async (dataDir) => {
        durationS = await writeCast(dataDir, BYTES);
      },
    });
    const seek = async (client, time) => (await timed(1, () => client.cast.seek(CAST, time)))[0];
    const unreadMs = await seek(await first.connect(), durationS / 2);
    const casts = join(first.dataDir, 'casts');
    await until('it is kept', () => KEPT.every((ending) => existsSync(join(casts, `${CAST}.${ending}`))));
    const gateway = await bench.gateway({
      before: (dataDir) => {
        const directory = join(dataDir, 'casts');
        mkdirSync(directory, { mode: 0o700 });
        for (const ending of ['cast', ...KEPT])
          linkSync(join(casts, `${CAST}.${ending}`), join(directory, `${CAST}.${ending}`));
      },
    });
    const client = await gateway.connect();
    const keptMs = await seek(client, durationS / 2);
    // Spread over all of it, and each moment another.
    let place = 0;
    const next = () => {
      place = (place + 0.618_034) % 1;
      return place * durationS;
    };
    return {
      floor: () => timed(1, () => parsed(castFile(gateway.dataDir))),
      slotcast: (count) => timed(count, () => client.cast.seek(CAST, next())),
      notes: () => [
        `the first one after a start: ${keptMs.toFixed(0)} ms; of a recording that nobody has read, as it is found: ${unreadMs.toFixed(0)} ms`,
      ],
    };
  },
};

/** Reads and parses the whole file. */
async function parsed(file) {
  let chars = 0;
  for await (const text of createInterface({ input: createReadStream(file) })) {
    if (text.startsWith('[')) chars += JSON.parse(text)[2].length;
  }
  return chars;
}
