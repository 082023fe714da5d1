// `npm run bench -- [LINE…]` after a build: measures each line of the table beside its floor, prints the table and writes bench/results.md.
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { prepareFloor, removeFloor } from './floor.mjs';
import { machine, rowText, tableText } from './table.mjs';

const LINES = ['exec', 'rate', 'terminal-run', 'key', 'start', 'flood', 'memory', 'fan-out', 'join', 'seek', 'archive'];
const RESULTS = new URL('results.md', import.meta.url).pathname;
const WORKER = new URL('worker.mjs', import.meta.url).pathname;

const command = new Command('npm run bench --')
  .argument('[line...]', `of ${LINES.join(', ')}; all of them without`)
  .option('--quick', 'few repeats: shows that it works, and no figures')
  .option('--http <url>', "beside another server's HTTP API: the lines that it knows")
  .option('--http-token <token>', 'for that server')
  .parse();
const given = command.opts();
const unknown = command.args.filter((name) => !LINES.includes(name));
if (unknown.length > 0) command.error(`there is no line ${unknown.join(', ')}; there are ${LINES.join(', ')}`);

const modules = Object.fromEntries(
  await Promise.all(LINES.map(async (name) => [name, (await import(`./line/${name}.mjs`)).line])),
);
const wanted = command.args.length > 0 ? command.args : LINES;
const lines = given.http ? wanted.filter((name) => modules[name].http !== undefined) : wanted;

/** Its result; null when it failed, which it has told. */
function measure(name, options) {
  return new Promise((resolve) => {
    const worker = fork(WORKER, [name, JSON.stringify(options)]);
    let result = null;
    worker.on('message', (message) => (result = message));
    worker.on('exit', (code) => resolve(code === 0 ? result : null));
  });
}

const facts = machine();
const prepared = await prepareFloor();
const rows = [];
try {
  const http = given.http ? { url: given.http, token: given.httpToken } : null;
  for (const name of lines) {
    const measured = await measure(name, { prepared, quick: given.quick === true, http });
    rows.push({ name, line: modules[name], measured });
    console.log(rowText(rows.at(-1)));
  }
} finally {
  removeFloor(prepared);
}
const text = tableText({ facts, rows, compiled: prepared.compiled });
console.log(`\n${text}`);
// Part of a table is no result.
if (!given.quick && !given.http && command.args.length === 0) writeFileSync(RESULTS, text);
process.exitCode = rows.every(({ measured }) => measured !== null) ? 0 : 1;
