// `npm run bench -- [LINE…]` after a build: measures each line of the table beside its floor, prints the table and writes bench/results.md.
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { prepareFloor, removeFloor } from './floor.mjs';
import { scale } from './scale.mjs';
import { machine, rowText, tableText } from './table.mjs';

const LINES = ['exec', 'rate', 'terminal-run', 'key', 'start', 'flood', 'memory', 'fan-out', 'join', 'seek', 'archive'];
const RESULTS = new URL('results.md', import.meta.url).pathname;
const WORKER = new URL('worker.mjs', import.meta.url).pathname;

const SCALE = 'scale';
let worker = null;
const stopping = new AbortController();
// The worker ends what it has started; then what is written here for all of them is removed.
for (const signal of ['SIGINT', 'SIGTERM']) {
  // It may come twice: from a terminal or timeout to the whole group.
  process.on(signal, () => {
    stopping.abort();
    worker?.kill();
  });
}
const SCALE_RESULTS = new URL('scale.md', import.meta.url).pathname;

const command = new Command('npm run bench --')
  .argument('[line...]', `of ${LINES.join(', ')}; all of them without; or ${SCALE}`)
  .option('--quick', 'few repeats: shows that it works, and no figures')
  .option('--http <url>', "beside another server's HTTP API: the lines that it knows")
  .option('--http-token <token>', 'for that server')
  .parse();
const given = command.opts();
const quick = given.quick === true;
const unknown = command.args.filter((name) => name !== SCALE && !LINES.includes(name));
if (unknown.length > 0)
  command.error(`there is no line ${unknown.join(', ')}; there are ${LINES.join(', ')}, ${SCALE}`);

const facts = machine();
if (command.args.includes(SCALE)) {
  const text = await scale({ quick, facts, signal: stopping.signal, tell: (what) => console.log(what) });
  console.log(`\n${text}`);
  if (!quick) writeFileSync(SCALE_RESULTS, text);
}
const wanted = command.args.length > 0 ? command.args.filter((name) => name !== SCALE) : LINES;
if (wanted.length > 0) await table(wanted);

async function table(wanted) {
  const all = await Promise.all(
    wanted.map(async (name) => ({ name, line: (await import(`./line/${name}.mjs`)).line })),
  );
  const http = given.http ? { url: given.http, token: given.httpToken } : null;
  const lines = all.filter(({ line }) => http === null || line.http !== undefined);
  const prepared = await prepareFloor();
  const rows = [];
  try {
    for (const one of lines) {
      if (stopping.signal.aborted) break;
      rows.push({ ...one, measured: await measure(one.name, { prepared, quick, http }) });
      console.log(rowText(rows.at(-1)));
    }
  } finally {
    removeFloor(prepared);
  }
  const text = tableText({ facts, rows, compiled: prepared.compiled });
  console.log(`\n${text}`);
  // Part of a table is no result.
  if (!quick && http === null && rows.length === LINES.length) writeFileSync(RESULTS, text);
  process.exitCode = rows.every(({ measured }) => measured !== null) ? 0 : 1;
}

/** Its result; null when it failed, which it has told. */
function measure(name, options) {
  return new Promise((resolve) => {
    worker = fork(WORKER, [name, JSON.stringify(options)]);
    let result = null;
    worker.on('message', (message) => {
      result = message;
    });
    worker.on('exit', (code) => resolve(code === 0 ? result : null));
  });
}
