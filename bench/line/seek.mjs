// The screen at any moment of a recording of 100 MB.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CAST, castFile, writeCast } from '../cast-file.mjs';
import { timed } from '../sample.mjs';

const BYTES = 100 * 2 ** 20;

export const line = {
  what: 'seek in a 100 MB cast',
  unit: 'ms',
  aim: { p50: 100 },
  blocks: 3,
  samples: 20,
  async open(bench) {
    let durationS = 0;
    const gateway = await bench.gateway({
      before: async (dataDir) => {
        durationS = await writeCast(dataDir, BYTES);
      },
    });
    const client = await gateway.connect();
    const beginMs = performance.now();
    await client.cast.seek(CAST, durationS / 2);
    const firstMs = performance.now() - beginMs;
    // Spread over all of it, and each moment another.
    let place = 0;
    const next = () => {
      place = (place + 0.618_034) % 1;
      return place * durationS;
    };
    return {
      floor: () => timed(1, () => parsed(castFile(gateway.dataDir))),
      slotcast: (count) => timed(count, () => client.cast.seek(CAST, next())),
      notes: () => [`the first one, which reads all of it: ${firstMs.toFixed(0)} ms`],
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
