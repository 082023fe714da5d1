// `npm run screenshots`: takes the README's pictures of the page, from a gateway of its own whose slots are at work. Writes into docs/screenshot/ alone.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { connect } from '../dist/client/index.js';
import { main } from './say.mjs';
import { root, setUp } from './setup.mjs';
import { forTests } from './system.mjs';

const folder = join(root, 'docs', 'screenshot');

/** What the agents are called, and what each does: commands that end, then one that goes on. */
const work = {
  'fix the flaky login test': ['seq -f "test %03g passed" 1 40', 'vim'],
  'upgrade to the new parser': ['git init -q && git status', 'build'],
  'triage the bug reports': ['ls -la --color /usr/share', 'log'],
  'nightly benchmark': ['uname -a; nproc', 'htop'],
  'write the API reference': ['for f in a b c; do echo "# $f" > $f.md; done; wc *.md', 'less'],
  'port the importer': ['make test', 'build'],
  'evaluation 17 of 40': ['python3 -c "print(sum(range(10**6)))"', 'tests'],
  'evaluation 18 of 40': ['python3 -c "import nothing"', 'idle'],
};

const goesOn = {
  vim: 'vim -u NONE -c "set number nocompatible laststatus=2" main.c\r',
  htop: 'htop\r',
  less: 'less /etc/services\r',
  log: 'i=0; while :; do i=$((i+1)); printf "10:%02d:%02d \\e[33mGET\\e[0m /issue/%d \\e[32m200\\e[0m %d ms\\n" $((i / 60)) $((i % 60)) $((4000 + i * 31)) $((i * 7 % 90)); sleep 0.5; done\r',
  tests:
    'i=0; while :; do i=$((i+1)); printf "test/case_%03d.py \\e[32m%s\\e[0m [%3d%%]\\n" $i "............" $((i % 100)); sleep 0.6; done\r',
  build:
    'i=0; while :; do i=$((i+1)); printf "\\e[36m[%03d]\\e[0m compiling src/module_%s.ts … \\e[32mok\\e[0m\\n" $i $((i * 7919 % 997)); sleep 0.4; done\r',
};

const MAIN_C = `#include <stdio.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        printf("%s%c", argv[i], i + 1 < argc ? ' ' : '\\n');
    return 0;
}
`;

async function agent(at, label) {
  const client = await connect(at);
  const slot = await client.acquire({ label });
  const [ends, goes] = work[label];
  await slot.terminal.start({ cols: 100, rows: 30 });
  await slot.terminal.run({ command: "PS1='\\[\\e[32m\\]agent\\[\\e[0m\\]:\\[\\e[34m\\]\\w\\[\\e[0m\\]$ '; clear" });
  await slot.file.write({ path: 'main.c', data: MAIN_C });
  await slot.terminal.run({ command: ends });
  await slot.exec.run({ command: 'echo "checking types"; sleep 0.4' });
  await slot.exec.run({ command: 'test -d node_modules || { echo "node_modules is missing" >&2; exit 2; }' });
  await slot.terminal.run({
    command:
      "for t in login session token refresh; do printf ' \\e[32m✓\\e[0m %s \\e[90m(12 ms)\\e[0m\\n' $t; sleep 0.3; done",
  });
  if (goes === 'idle') return { client, slot };
  if (goes === 'build' || goes === 'tests')
    void slot.exec.run({ command: 'sleep 300 # npm run test:e2e', timeoutMs: 0 }).catch(() => {});
  await slot.terminal.write(goesOn[goes]);
  return { client, slot };
}

/** Starts a gateway; gives its address, its token and how it ends. */
async function serve() {
  const dataDir = mkdtempSync(join(tmpdir(), 'slotcast-screenshot-'));
  const flags = ['serve', '--port', '0', '--slots', '12', '--data-dir', dataDir];
  const child = spawn(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...flags], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  const close = async () => {
    child.kill();
    await closed;
    rmSync(dataDir, { recursive: true, force: true });
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url) return { at: { url, token: readFileSync(join(dataDir, 'token'), 'utf8').trim() }, close };
  }
  throw new Error('the gateway did not start');
}

async function shoot(at, agents) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  const open = async (path, options = {}) => {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: 'dark',
      ...options,
    });
    const page = await context.newPage();
    await page.goto(`${at.url}${path}#share=${at.token}`);
    return page;
  };
  const save = async (page, name) => {
    // A breath, so that what is under way is drawn.
    await page.waitForTimeout(1500);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.context().close();
  };
  const [first, second] = agents;
  await save(await open('/'), 'wall');
  await save(await open(`/slot/${second.slot.name}`), 'slot');
  await save(await open(`/slot/${first.slot.name}`, { colorScheme: 'light' }), 'light');
  const rewind = await open(`/slot/${second.slot.name}`);
  await rewind.locator('.commands > li').nth(1).getByRole('button').last().click();
  await rewind.getByText('REWIND').waitFor();
  await save(rewind, 'rewind');
  const drive = await open(`/slot/${agents[7].slot.name}`);
  await drive.getByRole('button', { name: 'Take over' }).click();
  await drive.getByText('You are driving').waitFor();
  await drive.keyboard.type('pip list | head\n');
  await save(drive, 'drive');
  await save(await open(`/slot/${second.slot.name}`, { viewport: { width: 390, height: 800 } }), 'phone');
  for (const { slot } of agents.slice(4)) await slot.release();
  await save(await open('/casts'), 'casts');
  const [cast] = await first.client.cast.list({ label: 'port the importer' });
  await save(await open(`/cast/${cast.cast}`), 'replay');
  await browser.close();
}

await main(async () => {
  setUp(forTests);
  mkdirSync(folder, { recursive: true });
  const { at, close } = await serve();
  try {
    const agents = await Promise.all(Object.keys(work).map((label) => agent(at, label)));
    await shoot(at, agents);
    await Promise.all(agents.map(({ client }) => client.close()));
  } finally {
    await close();
  }
});
