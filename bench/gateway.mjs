// A gateway for a measurement: the built program in a process of its own, as it is installed, with sandboxes, recordings and tokens.
// It is ended, and its data directory removed, whatever becomes of the measurement.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../dist/client/index.js';
import { attachLoopDelay } from './loop-delay.mjs';

const PROGRAM = new URL('../dist/cli/main.js', import.meta.url).pathname;
export const TOKEN = 'a-token-of-this-run-and-of-no-other';

/** A directory that the users of slots get through. */
export function newDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-bench-'));
  chmodSync(directory, 0o711);
  return directory;
}

/** `before` gets the data directory ahead of the start; `keepData` leaves it to the caller. */
export async function startGateway({ flags = [], env = {}, nodeFlags = [], before, keepData = false } = {}) {
  const dataDir = newDirectory();
  await before?.(dataDir);
  const args = [...nodeFlags, PROGRAM, 'serve', '--port', '0', '--data-dir', dataDir, '--drain-ms', '0'];
  const child = spawn(process.execPath, [...args, '--log-level', 'error', ...flags], {
    env: { ...process.env, ...env, SLOTCAST_TOKEN: TOKEN },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = await new Promise((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
      const found = /http:\/\/\S+:\d+/.exec(said)?.[0];
      if (found) resolve(found);
    });
    void ended.then(() => reject(new Error(`the gateway did not start: ${said}`)));
  });
  const clients = [];
  const keeperPid = () => Number(readFileSync(join(dataDir, 'keeper.pid'), 'utf8').split(' ')[0]);
  const inspectors = [];
  let closing = null;
  const close = async () => {
    // A process waits for those who inspect it before it ends.
    for (const inspector of inspectors) inspector.close();
    // Not waited for: one that looks for a gateway which has gone might take its time.
    for (const client of clients) client.close().catch(() => {});
    child.kill('SIGTERM');
    await ended;
    if (!keepData) rmSync(dataDir, { recursive: true, force: true });
  };
  return {
    url,
    dataDir,
    pid: child.pid,
    keeperPid,
    connect: async () => {
      const client = await connect({ url, token: TOKEN });
      clients.push(client);
      return client;
    },
    /** The keeper's event loop, see loop-delay.mjs. */
    keeperDelay: async () => {
      const inspector = await attachLoopDelay(keeperPid());
      inspectors.push(inspector);
      return inspector;
    },
    /** p99 of its event loop since this was asked last, in ms. */
    loopDelay: async () => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(/^slotcast_nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(text)[1]) * 1000;
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
