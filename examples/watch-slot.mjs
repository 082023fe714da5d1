// Watches a slot while somebody works in it, then reads the recording. Any number of people can watch; none can slow the slot down.
//
//   SLOTCAST_TOKEN=$(cat TOKEN-FILE) node examples/watch-slot.mjs
import { connect } from '../dist/client/index.js';

const url = process.env.SLOTCAST_URL ?? 'http://127.0.0.1:8080';
const token = process.env.SLOTCAST_TOKEN;

// Two connections: an agent that works, and a viewer, for whom a token with --role viewer is enough.
const agent = await connect({ url, token });
const viewer = await connect({ url, token });
const slot = await agent.acquire({ label: 'watched' });

const watch = await viewer.watch({ slot: slot.name });
const work = slot.terminal
  .run({ command: 'for i in 1 2 3; do echo "step $i"; sleep 0.3; done; echo finished' })
  // The end of the lease ends the watch, and so the loop below.
  .then(() => slot.release());

for await (const event of watch) {
  // A screen stands for everything before it; a terminal draws it by writing it out.
  if (event.kind === 'screen') console.log(`the screen as of frame ${event.seq}: ${event.cols}x${event.rows}`);
  // Frames are asciicast events: time in seconds, o output, r resize, m marker, x exit.
  if (event.kind === 'frames')
    for (const [time, code, data] of event.frames) console.log(time, code, JSON.stringify(data));
  // A viewer that reads too slowly is given a fresh screen instead of what it missed.
  if (event.kind === 'resync') console.log(`missed the frames ${event.gap.from} to ${event.gap.to}`);
  if (event.kind === 'end') console.log(`the watch has ended: ${event.reason}`);
}
await work;

// Everything was recorded. Its markers are the commands, as chapters.
const { duration, markers } = await viewer.cast.info(slot.cast);
console.log(`${slot.cast}: ${duration.toFixed(1)} s`);
for (const { time, command, exitCode } of markers)
  if (command) console.log(`  ${time.toFixed(1)} s  ${command} → ${exitCode}`);
const { screen } = await viewer.cast.seek(slot.cast, duration / 2);
console.log(`half-way the screen showed ${screen.includes('step 1') ? 'step 1' : 'nothing yet'}`);

await viewer.close();
await agent.close();
