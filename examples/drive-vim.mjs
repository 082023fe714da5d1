// Drives a full-screen program by keys: writes a poem in vim, looks at the screen, saves, and reads the file.
//
//   SLOTCAST_TOKEN=$(cat TOKEN-FILE) node examples/drive-vim.mjs      (vim has to be installed on the gateway's host)
import { connect } from '../dist/client/index.js';

const url = process.env.SLOTCAST_URL ?? 'http://127.0.0.1:8080';
const client = await connect({ url, token: process.env.SLOTCAST_TOKEN });
const slot = await client.acquire({ label: 'vim' });
const { terminal } = slot;

// The shell of a slot stays alive: directory and variables are there for the next call.
await terminal.start({ cols: 60, rows: 12 });
await terminal.run({ command: 'mkdir -p poems && cd poems' });

// Keys have the names that tmux gives them; what is no name is typed as it is.
await terminal.keys('vim -u NONE roses.txt', 'Enter');
// Never sleep: wait for what the screen shows.
await terminal.wait({ text: 'roses.txt', timeoutMs: 10_000 });
await terminal.keys('i', 'Roses are red', 'Enter', 'Terminals are blue', 'Escape');
await terminal.wait({ text: 'Terminals are blue', timeoutMs: 10_000 });

const { text, cursor } = await terminal.capture();
console.log(`vim shows, with the cursor in row ${cursor.row}:`);
console.log(text.replaceAll(/^/gm, '  | '));

await terminal.keys(':wq', 'Enter');
const { matched } = await terminal.wait({ prompt: true, timeoutMs: 10_000 });
console.log(matched ? 'vim has ended' : 'vim is still there');

console.log((await terminal.run({ command: 'pwd; wc -l roses.txt' })).output);
console.log(await slot.file.readText('poems/roses.txt'));

await slot.release();
await client.close();
