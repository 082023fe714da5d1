// Measures one line in a process of its own, beside the gateway's and the floor's: `worker.mjs NAME OPTIONS` as run.mjs starts it.
// All sides take turns, block by block, so that what else the machine does hits each of them.
import { Floor } from './floor.mjs';
import { startGateway, TOKEN } from './gateway.mjs';
import { summary } from './sample.mjs';
import { SandboxApi } from './sandbox-api.mjs';
import { startSocketFloor } from './socket-floor.mjs';

const [name, text] = process.argv.slice(2);
const { prepared, quick, http } = JSON.parse(text);
const { line } = await import(`./line/${name}.mjs`);
/** What is closed in the end, the last one first. */
const open = [];
const held = (thing) => {
  open.push(thing);
  return thing;
};

let closing = null;
function closeAll() {
  closing ??= (async () => {
    // One that cannot be closed keeps no other open.
    for (const thing of open.reverse()) await Promise.resolve(thing.close()).catch((error) => console.error(error));
  })();
  return closing;
}
process.on('uncaughtException', (error) => {
  console.error(error);
  leave();
});
const leave = () => void closeAll().then(() => process.exit(1));
for (const end of ['SIGINT', 'SIGTERM', 'disconnect']) process.on(end, leave);

/** What a line may use; everything is started when it is asked for. */
const bench = {
  quick,
  compiled: prepared.compiled,
  commands: () => held(Floor.commands(prepared)),
  terminals: () => held(Floor.terminals(prepared)),
  sockets: async () => held(await startSocketFloor()),
  gateway: async (options) => held(await startGateway(options)),
  hold: held,
};

/** Of a line with `http`: our own gateway by the old API, and the other server. */
async function httpSides({ slots = 1, side }) {
  const gateway = await bench.gateway({ flags: ['--http-api', 'token', '--slots', String(slots)] });
  const ours = new SandboxApi({ url: gateway.url, token: TOKEN });
  const other = new SandboxApi({ url: http.url, token: http.token });
  return { 'slotcast, HTTP API': await side(ours), [http.url]: await side(other) };
}

try {
  const { floor, slotcast, more = {}, notes } = await line.open(bench);
  const others = http !== null && line.http !== undefined ? await httpSides(line.http) : {};
  const sides = { floor, slotcast, ...more, ...others };
  const samples = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
  const blocks = quick ? Math.min(2, line.blocks) : line.blocks;
  if (line.warmUp) for (const run of Object.values(sides)) await run(line.warmUp);
  const beginMs = performance.now();
  for (let block = 0; block < blocks; block++) {
    for (const [side, run] of Object.entries(sides)) samples[side].push(...(await run(line.samples)));
  }
  const took = (performance.now() - beginMs) / 1000;
  const result = Object.fromEntries(Object.entries(samples).map(([side, all]) => [side, summary(all)]));
  process.send({ result, notes: (await notes?.()) ?? [], took });
} finally {
  await closeAll();
  process.off('disconnect', leave);
}
process.disconnect();
