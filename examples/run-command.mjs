// Runs commands in a sandboxed slot: one to its end, and one whose output is read while it runs.
//
//   npm start                                                  (in another terminal; it prints where the token lies)
//   SLOTCAST_TOKEN=$(cat TOKEN-FILE) node examples/run-command.mjs
import { connect } from '../dist/client/index.js';

const url = process.env.SLOTCAST_URL ?? 'http://127.0.0.1:8080';
const client = await connect({ url, token: process.env.SLOTCAST_TOKEN });

// A slot is a workspace, a sandbox and a terminal of your own, until you release it.
const slot = await client.acquire({ label: 'example' });
console.log(`${slot.name}, recorded as ${slot.cast}`);

// A file, and a command that works on it. A non-zero exit is a result, not an error.
await slot.file.write({ path: 'numbers.txt', data: '3\n1\n2\n' });
const sorted = await slot.exec.run({ command: 'sort numbers.txt; echo done >&2; exit 3' });
console.log(sorted.outcome, sorted.exitCode, JSON.stringify(sorted.stdout), JSON.stringify(sorted.stderr));

// A timeout is one as well; what was printed before it is kept, and the whole process tree is dead.
const slow = await slot.exec.run({ command: 'echo before; sleep 60', timeoutMs: 500 });
console.log(slow.outcome, JSON.stringify(slow.stdout));

// Output as it comes, and input while it runs. Lost connections are mended on the way: nothing comes twice.
const process_ = await slot.exec.start({ command: 'while read name; do echo "hello $name"; done', stdin: 'open' });
await process_.write('world\n');
await process_.write('slot\n', { eof: true });
for await (const { stream, data } of process_) console.log(stream, JSON.stringify(data));
console.log((await process_.exit).outcome);

// Released slots are emptied. Without this the slot would be kept for a minute, for you to come back.
await slot.release();
await client.close();
