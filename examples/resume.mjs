// Survives the loss of its connection, and of the whole program: what runs in a slot goes on, and another client takes it up.
//
//   SLOTCAST_TOKEN=$(cat TOKEN-FILE) node examples/resume.mjs
import { connect } from '../dist/client/index.js';

const url = process.env.SLOTCAST_URL ?? 'http://127.0.0.1:8080';
const token = process.env.SLOTCAST_TOKEN;

const first = await connect({ url, token });
// How long the lease waits for somebody to come back.
const slot = await first.acquire({ label: 'resumed', graceMs: 60_000 });
await slot.terminal.run({ command: 'cd /tmp; answer=42' });
const counting = await slot.exec.start({ command: 'for i in $(seq 8); do echo $i; sleep 0.25; done' });

// What has to be kept to come back: the secret, the command, and how many bytes of its output have arrived.
const { resume } = slot;
let stdout = 0;
for await (const { data } of counting) {
  stdout += Buffer.byteLength(data);
  console.log('first client: ', JSON.stringify(data));
  if (stdout >= 4) break;
}
// As if the program had crashed: the slot is not released.
await first.close();

// A client opens a lost connection again and resumes by itself; this is for another one, maybe on another day and host.
const second = await connect({ url, token });
const again = await second.acquire({ resume, received: { [counting.id]: { stdout, stderr: 0 } } });
console.log(`${again.name} again, resumed: ${again.resumed}`);

const same = again.exec.process(counting.id);
for await (const { data } of same) console.log('second client:', JSON.stringify(data));
console.log('the command', (await same.exit).outcome);
console.log((await again.terminal.run({ command: 'pwd; echo $answer' })).output);

await again.release();
await second.close();
