// Abuse of resources: processes, memory, processor, output, input and descriptors. What strikes one slot is felt by no other, nor by the gateway.
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Fault, Slot } from '../../client/index.ts';
import { until } from '../support/gateway.ts';
import { keeperOf } from '../support/keeper.ts';
import { attack } from './attack.ts';
import { type Target, targets } from './gateway.ts';

const MIB = 1024 ** 2;
/** An answer that a person would call immediate, on a machine that does other things too. */
const PROMPT_MS = 5000;
const of = targets({ flags: ['--max-memory', '200M', '--max-pids', '256'] });

/** Runs the abuse in one slot, and commands in another one meanwhile; how long the slowest of them took. */
async function beside(target: Target, abuse: (slot: Slot) => Promise<unknown>): Promise<number> {
  const [bad, good] = [await target.slot(), await target.slot()];
  try {
    let done = false;
    const abusing = abuse(bad).finally(() => {
      done = true;
    });
    let slowest = 0;
    do {
      const began = performance.now();
      expect((await good.exec.run({ command: 'echo here' })).stdout).toBe('here\n');
      slowest = Math.max(slowest, performance.now() - began);
    } while (!done);
    await abusing;
    return slowest;
  } finally {
    await bad.release();
    await good.release();
  }
}

const FORKS = `perl -e 'for (1..600) { my $p = fork; if (!defined $p) { print "at $_: $!\\n"; last } if (!$p) { sleep 60; exit } }'`;

attack('D01', async (as) => {
  const target = await of(as);
  const slowest = await beside(target, async (slot) => {
    const { stdout, limit } = await slot.exec.run({ command: `${FORKS}; sleep 1` });
    expect(stdout).toMatch(/^at 2[345]\d: Resource temporarily unavailable$/m);
    // An ordinary user's gateway can't count: there the kernel refuses without a word.
    if (as === 'root') expect(limit).toBe('processes');
    const inTerminal = await slot.terminal.run({ command: FORKS });
    expect(inTerminal.output).toContain('Resource temporarily unavailable');
  });
  expect(slowest).toBeLessThan(PROMPT_MS);
});

attack('D02', async (as) => {
  const target = await of(as);
  const [one, other] = [await target.slot(), await target.slot()];
  const [a, b] = await Promise.all([one.exec.run({ command: FORKS }), other.exec.run({ command: FORKS })]);
  for (const { stdout } of [a, b]) expect(Number(/^at (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(200);
  await one.release();
  await other.release();
});

attack('D03', async (as) => {
  const target = await of(as);
  const slot = await target.slot();
  const { stdout: idle } = await slot.exec.run({ command: 'echo before' });
  const lives = await slot.exec.start({ command: 'sleep 60' });
  const hungry = `perl -e '$x = "x" x ${400 * MIB}; print "got it"'`;
  const { outcome, signal, limit, stdout } = await slot.exec.run({ command: hungry });
  expect({ idle, outcome, signal, limit, stdout }).toEqual({
    ...{ idle: 'before\n', outcome: 'signaled', signal: 'KILL', limit: 'memory', stdout: '' },
  });
  const { limit: inTerminal } = await slot.terminal.run({ command: hungry });
  expect(inTerminal).toBe('memory');
  expect((await slot.terminal.run({ command: 'echo on' })).limit).toBeUndefined();
  // What looks like the next prompt is not the end at which limits are looked at.
  const prompts = await slot.terminal.run({ command: `echo "\${PS1@P}"; ${hungry}` });
  expect(prompts.limit).toBe('memory');
  // Its neighbour in the same slot was not hit.
  expect((await slot.exec.list()).find(({ process }) => process === lives.id)?.outcome).toBe('running');
  await slot.release();
});

for (const [id, command] of [
  ['D07', 'yes | head -c 10G'],
  ['D09', 'yes | head -c 10G >&2'],
] as const) {
  attack(id, async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.exec.run({ command: 'yes | head -c 20M', maxOutputBytes: 1000 });
    const before = target.memory();
    const end = await slot.exec.run({ command, timeoutMs: 2500, maxOutputBytes: 10_000 });
    const bytes = id === 'D07' ? end.stdoutBytes : end.stderrBytes;
    expect(end).toMatchObject({ outcome: 'timedOut', truncated: true, limit: 'output' });
    expect(bytes).toBeGreaterThan(20 * MIB);
    expect((end.stdout + end.stderr).length).toBeLessThan(11_000);
    expect(target.memory() - before).toBeLessThan(64 * MIB);
    await slot.release();
  });
}

attack('D10', async (as) => {
  const target = await of(as);
  const slot = await target.slot();
  const deaf = await slot.exec.start({ command: 'sleep 1000', stdin: 'open', timeoutMs: 0 });
  const before = target.memory();
  const data = 'x'.repeat(4 * MIB);
  const said: string[] = [];
  const writes = Array.from({ length: 128 }, async () => {
    await deaf.write(data).then(
      () => said.push('taken'),
      (error: Fault) => said.push(error.fault),
    );
  });
  const settled = Promise.all(writes);
  await until('what is too much is refused', () => said.length > 100);
  expect(new Set(said)).toEqual(new Set(['RATE_LIMITED']));
  expect((await slot.exec.list()).length).toBe(1);
  expect(target.memory() - before).toBeLessThan(256 * MIB);
  await deaf.signal('KILL');
  await settled;
  await slot.release();
});

/** Descendants of the gateway whose arguments hold a text. */
function living(target: Target, text: string): string[] {
  const parents = new Map<string, string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = /\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const below = (pid: string): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === String(target.pid) || below(parent));
  };
  return [...parents.keys()].filter((pid) => below(pid) && read(`/proc/${pid}/cmdline`).includes(text));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

attack('D11', async (as) => {
  const target = await of(as);
  const slot = await target.slot();
  const { outcome, durationMs } = await slot.exec.run({ command: 'sleep 1011 & sleep 1011', timeoutMs: 1000 });
  expect(outcome).toBe('timedOut');
  expect(durationMs).toBeLessThan(5000);
  expect(living(target, '1011')).toEqual([]);
  await slot.release();
});

attack('D12', async (as) => {
  const target = await of(as);
  const slot = await target.slot();
  const daemon = `(setsid sh -c 'trap "" TERM HUP INT; while :; do date +%N >beat; sleep 0.01; : 1012; done' </dev/null >/dev/null 2>&1 &)`;
  await slot.exec.run({ command: `${daemon}; until [ -s beat ]; do :; done; sleep 1000`, timeoutMs: 1000 });
  expect(living(target, '1012')).toEqual([]);
  const { data } = await slot.file.read({ path: 'beat' });
  const later = await slot.exec.run({ command: 'sleep 0.2; cat beat' });
  expect(later.stdout).toBe(data);
  await slot.release();
});

attack(
  'D15',
  async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const kills = 200;
    for (let left = kills; left > 0; left -= 20) {
      await Promise.all(Array.from({ length: 20 }, () => slot.exec.run({ command: 'sleep 60 & kill -9 $$' })));
    }
    const zombies = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) =>
        new RegExp(`\\) Z (${target.pid}|${keeperOf(target.dataDir)}) `).test(read(`/proc/${pid}/stat`)),
      );
    expect(zombies).toEqual([]);
    await until('no sandbox is left', () => living(target, 'bwrap').length === 0);
    await slot.release();
  },
  60_000,
);

attack('D16', async (as) => {
  const target = await of(as);
  const spin = 'for i in $(seq 16); do while :; do :; done & done; sleep 2';
  const slowest = await beside(target, (slot) => slot.exec.run({ command: spin, timeoutMs: 10_000 }));
  expect(slowest).toBeLessThan(PROMPT_MS);
});

attack('D18', async (as) => {
  const target = await of(as);
  const open = `perl -e 'my @f; for (1..100_000) { if (!open $f[$_], "<", "/dev/null") { print "at $_: $!"; last } }'`;
  const slowest = await beside(target, async (slot) => {
    expect((await slot.exec.run({ command: open })).stdout).toMatch(/^at 409\d: Too many open files$/);
  });
  expect(slowest).toBeLessThan(PROMPT_MS);
});

attack(
  'D20',
  async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const client = await target.client();
    const resizes = Array.from({ length: 10_000 }, (_, index) => ({
      cols: 80 + (index % 50),
      rows: 24 + (index % 20),
    }));
    for (let from = 0; from < resizes.length; from += 500) {
      await Promise.all(resizes.slice(from, from + 500).map((size) => slot.terminal.resize(size)));
    }
    const { cols, rows } = resizes.at(-1) ?? {};
    expect((await slot.terminal.run({ command: 'stty size </dev/tty' })).output).toBe(`${rows} ${cols}\n`);
    const { frames } = await client.call('cast.read', { cast: slot.cast, from: 0, to: 3600 });
    expect(frames.filter(([, code]) => code === 'r').length).toBeLessThan(500);
    await slot.release();
  },
  60_000,
);
