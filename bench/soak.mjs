// `node bench/soak.mjs [MINUTES] [SEED]` after a build: ordinary and hostile agents on 8 slots, for half an hour; then nothing may be left of
// them: no process, descriptor, mount, control group or temporary file, and no memory that grows. Exits with 1 when something is.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { connect } from '../dist/client/index.js';

const minutes = Number(process.argv[2] ?? 30);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const SLOTS = 8;
/** Caches, pools and compiled code have their size by then. */
const WARM_SHARE = 0.2;
const SAMPLE_MS = 30_000;
/** What a heap that is not collected yet may hold more. */
const FLAT_RATIO = 1.25;
/** What the list of some thousand recordings and compiled code may take, above the heap of a gateway that has done little. */
const HEAP_GROWTH_MIB = 20;

const home = mkdtempSync(join(tmpdir(), 'slotcast-soak-'));
// Slots under root are users of their own, and must get through.
chmodSync(home, 0o711);
const dataDir = join(home, 'data');
const program = new URL('../dist/cli/main.js', import.meta.url).pathname;
const limits = ['--max-memory', '256M', '--max-pids', '256', '--grace-ms', '2000'];
const flags = [
  'serve',
  '--port',
  '0',
  '--slots',
  String(SLOTS),
  '--data-dir',
  dataDir,
  '--log-level',
  'warn',
  ...limits,
];
const gateway = spawn(process.execPath, ['--inspect=127.0.0.1:0', program, ...flags], {
  env: { ...process.env, TMPDIR: home },
  stdio: ['ignore', 'pipe', 'pipe'],
});
const closed = new Promise((resolve) => gateway.on('close', resolve));
let complaints = '';
gateway.stderr.on('data', (data) => (complaints += data));
const inspected = new Promise((resolve) => {
  createInterface({ input: gateway.stderr }).on('line', (line) => {
    const address = /ws:\S+/.exec(line)?.[0];
    if (address) resolve(address);
  });
});

/** Bytes of the heap in use when all garbage is gone, in MiB. */
async function heapMiB() {
  const inspector = new WebSocket(await inspected);
  await new Promise((resolve) => inspector.once('open', resolve));
  const ask = (id, method) =>
    new Promise((resolve) => {
      inspector.on('message', (data) => {
        const reply = JSON.parse(data);
        if (reply.id === id) resolve(reply.result);
      });
      inspector.send(JSON.stringify({ id, method }));
    });
  await ask(1, 'HeapProfiler.collectGarbage');
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await ask(2, 'Runtime.getHeapUsage');
  inspector.terminate();
  return Math.round((usedSize + embedderHeapUsedSize + backingStorageSize) / 1024 ** 2);
}

const read = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const list = (directory) => (existsSync(directory) ? readdirSync(directory) : []);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Numbers that a seed repeats. */
let state = seed;
function random(below) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state % below;
}
const oneOf = (choices) => choices[random(choices.length)];

async function start() {
  for await (const line of createInterface({ input: gateway.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url) return { url, token: read(join(dataDir, 'token')).trim() };
  }
  throw new Error(`The gateway did not start: ${complaints}`);
}

const ordinary = [
  (slot) => slot.exec.run({ command: 'ls -la; date; seq 1000 | tail -1' }),
  (slot) => slot.exec.run({ command: 'cat >in; wc -c in', input: 'x'.repeat(random(200_000)) }),
  (slot) => slot.terminal.run({ command: 'cd /tmp; export A=1; ls --color /usr/bin | head -50; cd' }),
  (slot) => slot.terminal.run({ command: 'for i in $(seq 300); do printf "\\e[3%dm%s\\e[0m " $((i % 8)) $i; done' }),
  (slot) => slot.terminal.keys('echo typed', 'Enter'),
  (slot) => slot.file.write({ path: `dir/${random(20)}.txt`, data: 'y'.repeat(random(300_000)) }),
  (slot) => slot.file.list({ recursive: true }),
  (slot) => slot.artifact.archive({ path: '.' }),
  (slot, client) => client.call('cast.seek', { cast: slot.cast, time: random(100) }),
  (_slot, client) => client.call('cast.list', { search: 'seq' }),
  async (slot) => {
    const watch = await slot.watch();
    await slot.terminal.run({ command: 'seq 2000' });
    await watch.close();
  },
  async (_slot, client) => {
    const wall = await client.watchSlots({ screens: true });
    await sleep(random(1000));
    await wall.close();
  },
];

const fork = `perl -e 'for (1..2000) { my $p = fork; last if !defined $p; if (!$p) { sleep 60; exit } }'`;
const hostile = [
  (slot) => slot.exec.run({ command: fork, timeoutMs: 5000 }),
  (slot) => slot.exec.run({ command: `perl -e '$x = "x" x 400_000_000'`, timeoutMs: 10_000 }),
  (slot) => slot.exec.run({ command: 'yes | head -c 200M; yes >&2', timeoutMs: 2000, maxOutputBytes: 10_000 }),
  (slot) =>
    slot.exec.run({ command: '(setsid sh -c "trap : TERM HUP INT; while :; do sleep 0.1; done" &) ; kill -9 $$' }),
  (slot) => slot.exec.run({ command: 'while :; do :; done', timeoutMs: 1500 }),
  (slot) =>
    slot.exec.run({
      command: 'ln -s / root; mkfifo p; mkdir -p a/b/c; chmod 0 a; for i in $(seq 500); do : >n$i; done; ln -s . l',
    }),
  (slot) => slot.terminal.run({ command: 'head -c 3M /dev/urandom', timeoutMs: 10_000 }),
  (slot) =>
    slot.terminal.run({ command: 'printf "\\e]0;title\\a\\e]52;c;aGk=\\a\\e[6n\\e[c\\e]133;D;0\\a\\eP+q544e\\e\\\\"' }),
  (slot) =>
    slot.terminal.run({
      command: 'printf "\\e[?1049h"; printf "a\\u0301\\u0302%.0s" $(seq 3000); printf "\\e[1000000b\\e[500L"',
    }),
  (slot) => slot.terminal.run({ command: 'exit 3' }),
  (slot) => slot.terminal.run({ command: 'kill -9 $$' }),
  (slot) => slot.terminal.run({ command: 'sleep 100', timeoutMs: 500 }),
  (slot) =>
    Promise.all(
      Array.from({ length: 200 }, () => slot.terminal.resize({ cols: 20 + random(400), rows: 5 + random(100) })),
    ),
  (slot) => Promise.all(Array.from({ length: 40 }, () => slot.exec.run({ command: 'echo many' }))),
  async (slot) => {
    const deaf = await slot.exec.start({ command: 'sleep 100', stdin: 'open' });
    const writes = Array.from({ length: 30 }, () => deaf.write('z'.repeat(1_000_000)));
    const settled = Promise.allSettled(writes);
    await deaf.signal('KILL');
    await settled;
  },
  (_slot, _client, at) => raw(at, 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: '),
  (_slot, _client, at) =>
    raw(
      at,
      `PUT /slots/slot_0/files/cut HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${at.token}\r\nContent-Length: 1000000\r\n\r\nonly this`,
    ),
  (_slot, _client, at) =>
    socket(at, at.token, [
      '{"jsonrpc":',
      '[]',
      '[1,2]',
      '{"id":1}',
      '{"jsonrpc":"2.0","id":1,"method":"__proto__"}',
      '['.repeat(50_000),
    ]),
  (_slot, _client, at) => socket(at, 'no-such-token', []),
  (slot, client) =>
    Promise.all([
      client.call('cast.read', { cast: slot.cast, from: 0, to: 1e6 }),
      client.call('cast.info', { cast: 'cast_none' }),
    ]),
  (slot) =>
    Promise.all([
      slot.file.read({ path: '../../etc/passwd' }),
      slot.file.read({ path: 'root/etc/passwd' }),
      slot.file.read({ path: 'p' }),
    ]),
];

/** Bytes that are no whole request, and then nothing more. */
function raw(at, text) {
  return new Promise((resolve) => {
    const tcp = connectTcp(Number(new URL(at.url).port), '127.0.0.1', () => tcp.write(text));
    tcp.on('error', () => {});
    tcp.on('close', resolve);
    setTimeout(() => tcp.destroy(), 500 + random(1500));
  });
}

function socket(at, token, messages) {
  return new Promise((resolve) => {
    const ws = new WebSocket(`${at.url.replace('http', 'ws')}/ws`, ['slotcast.v1'], {
      headers: { authorization: `Bearer ${token}` },
    });
    ws.on('error', () => {});
    ws.on('close', resolve);
    ws.on('open', () => {
      for (const message of messages) ws.send(message);
      // Cut without a word.
      setTimeout(() => ws.terminate(), random(500));
    });
  });
}

const count = { ordinary: 0, hostile: 0, refused: 0, leases: 0 };
const surprises = new Map();

/** Refusals are part of it; what names a defect or is no refusal at all is told. */
function note(error) {
  count.refused++;
  const name = error?.fault ?? error?.name ?? String(error);
  if (name === 'INTERNAL' || error?.fault === undefined)
    surprises.set(`${name}: ${error?.message}`, (surprises.get(`${name}: ${error?.message}`) ?? 0) + 1);
}

/** One agent after the other on a slot, until the time is over; each holds it for some acts, and leaves in one of the ways there are. */
async function agents(at, untilMs) {
  while (performance.now() < untilMs) {
    const client = await connect(at);
    try {
      const slot = await client.acquire({ label: `soak ${random(100)}` });
      count.leases++;
      for (let acts = 3 + random(12); acts > 0 && performance.now() < untilMs; acts--) {
        const kind = random(2) === 0 ? 'ordinary' : 'hostile';
        count[kind]++;
        await oneOf(kind === 'ordinary' ? ordinary : hostile)(slot, client, at).catch(note);
      }
      const leave = random(4);
      if (leave === 0) await slot.reset();
      if (leave <= 1) await slot.release();
      // Else it just goes, and the lease ends when its grace is over.
    } catch (error) {
      note(error);
      await sleep(200);
    } finally {
      await client.close();
    }
  }
}

/** What the gateway holds of this machine. */
function held() {
  const parents = new Map();
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const below = (pid) => parents.has(pid) && (parents.get(pid) === String(gateway.pid) || below(parents.get(pid)));
  const descriptors = list(`/proc/${gateway.pid}/fd`);
  return {
    memoryMiB: Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${gateway.pid}/status`))?.[1] ?? 0) / 1024),
    processes: [...parents.keys()].filter(below).length,
    descriptors: descriptors.length,
    threads: Number(/^Threads:\s+(\d+)/m.exec(read(`/proc/${gateway.pid}/status`))?.[1] ?? 0),
    mounts: read(`/proc/${gateway.pid}/mountinfo`).split('\n').length,
    groups: groups(),
    temporary: list(home).filter((name) => name !== 'data').length,
    slotFiles: list(join(dataDir, 'slots')).flatMap((slot) => list(join(dataDir, 'slots', slot))).length,
  };
}

/** Control groups of sandboxes: those of the slots stay as long as the gateway. */
function groups() {
  const mounts = read('/proc/self/mountinfo').matchAll(/ (\S+) \S+(?: \S+)* - cgroup2? \S+ (\S+)$/gm);
  const found = [...mounts].flatMap(([, point]) => ownGroups(point));
  return found
    .flatMap((owner) => list(owner).map((slot) => join(owner, slot)))
    .flatMap((slot) => list(slot).filter((name) => /^s\d+$/.test(name))).length;
}

function ownGroups(point) {
  const paths = read(`/proc/${gateway.pid}/cgroup`)
    .split('\n')
    .map((line) => line.split(':')[2] ?? '');
  const dirs = [...new Set(['', ...paths])].map((path) => join(point, path));
  return [
    ...new Set(
      dirs.flatMap((dir) =>
        list(dir)
          .filter((name) => name.startsWith('slotcast-'))
          .map((name) => join(dir, name)),
      ),
    ),
  ];
}

async function whenQuiet(at) {
  const client = await connect(at);
  for (let tries = 0; tries < 300; tries++) {
    const slots = await client.slots();
    if (slots.every((slot) => slot.state === 'free') && held().processes === 0) break;
    await sleep(200);
  }
  await client.close();
  await sleep(3000);
}

const shown = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join('  ');
const at = await start();
const begin = performance.now();
const endMs = begin + minutes * 60_000;
const warmMs = begin + minutes * 60_000 * WARM_SHARE;
console.log(`soak of ${minutes} minutes on ${SLOTS} slots, seed ${seed}`);
// Every slot has been used once: its directories and groups are there.
for (const client of await Promise.all(Array.from({ length: SLOTS }, async () => await connect(at)))) {
  const slot = await client.acquire();
  await slot.terminal.run({ command: 'true' });
  await client.close();
}
await whenQuiet(at);
const before = { heapMiB: await heapMiB(), ...held() };
console.log(`idle at the start:  ${shown(before)}`);
const sampled = [];
const sampling = setInterval(() => {
  const now = held();
  if (performance.now() > warmMs) sampled.push(now.memoryMiB);
  console.log(`${Math.round((performance.now() - begin) / 1000)} s:  ${shown(now)}  ${shown(count)}`);
}, SAMPLE_MS);
await Promise.all(Array.from({ length: SLOTS }, () => agents(at, endMs)));
clearInterval(sampling);
await whenQuiet(at);
const after = { heapMiB: await heapMiB(), ...held() };
console.log(`idle at the end:    ${shown(after)}`);
gateway.kill('SIGTERM');
await closed;
const left = { temporary: list(home).filter((name) => name !== 'data').length, groups: groups() };
rmSync(home, { recursive: true, force: true });

const half = Math.floor(sampled.length / 2);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
const ratio = mean(sampled.slice(half)) / mean(sampled.slice(0, half));
console.log(`memory under load, second half against the first after warming up: ${ratio.toFixed(2)}`);
console.log(`after the gateway ended:  ${shown(left)}`);
for (const [text, times] of surprises) console.log(`unexpected, ${times} times: ${text}`);
const log = complaints.split('\n').filter((line) => line !== '' && !/debugger|inspector/i.test(line));
if (log.length > 0) console.log(`the gateway's log:\n${log.slice(0, 20).join('\n')}`);
const grown = ['processes', 'descriptors', 'threads', 'mounts', 'groups', 'temporary', 'slotFiles'].filter(
  (name) => after[name] > before[name] + (name === 'descriptors' || name === 'threads' ? 4 : 0),
);
const bad = [
  ...grown,
  ...Object.keys(left).filter((name) => left[name] > 0),
  ...(ratio > FLAT_RATIO ? ['memory'] : []),
  ...(after.heapMiB > before.heapMiB + HEAP_GROWTH_MIB ? ['heap'] : []),
  ...surprises.keys(),
];
if (count.leases === 0) bad.push('nobody got a slot');
console.log(bad.length === 0 ? 'nothing is left' : `LEFT OR GROWN: ${bad.join(', ')}`);
process.exitCode = bad.length === 0 ? 0 : 1;
