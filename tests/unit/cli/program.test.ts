import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../../support/gateway.ts';
import { environmentOf, PROGRAM, slotcast } from './slotcast.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.close());

const states = async () => (await (await gateway.client()).slots()).map(({ state }) => state);

test('exec passes bytes through as they are, both ways', async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
  const { child, seen, exitCode } = slotcast(gateway, 'exec', 'new', '--', 'cat');
  child.stdin.end(bytes);
  expect(await exitCode).toBe(0);
  expect(seen.stdout.equals(bytes)).toBe(true);
});

test.each([
  ['exit 9', [], 9],
  ['kill -TERM $$', [], 143],
  ['sleep 60', ['--timeout', '300ms'], 124],
])('exec of %j %j ends with %d', async (command, flags, code) => {
  expect(await slotcast(gateway, 'exec', '-n', ...flags, 'new', '--', command).exitCode).toBe(code);
});

test('exec sets variables and the directory; several words are no script', async () => {
  const args = [
    'exec',
    '-n',
    '-e',
    'A=1',
    '-e',
    'B=x y',
    '--cwd',
    '/tmp',
    'new',
    '--',
    'sh',
    '-c',
    'echo "$A $B $PWD"; echo "$0"',
    '*',
  ];
  const { seen, exitCode } = slotcast(gateway, ...args);
  expect(await exitCode).toBe(0);
  expect(seen.stdout.toString()).toBe('1 x y /tmp\n*\n');
});

test('Ctrl-C reaches the command, and its end decides', async () => {
  const script = 'trap "echo got it; exit 7" INT; echo ready; while :; do sleep 0.05; done';
  const { child, seen, exitCode } = slotcast(gateway, 'exec', '-n', 'new', '--', script);
  await until('the trap', () => seen.stdout.includes('ready'));
  child.kill('SIGINT');
  expect(await exitCode).toBe(7);
  expect(seen.stdout.toString()).toBe('ready\ngot it\n');
});

test('a reader who leaves ends the command and frees the slot without a word', async () => {
  const { child, seen, exitCode } = slotcast(gateway, 'exec', '-n', 'new', '--', 'yes');
  await until('output', () => seen.stdout.length > 0);
  child.stdout.destroy();
  expect(await exitCode).toBe(141);
  expect(seen.stderr).toBe('');
  await until('the slot to be free', async () => (await states()).every((state) => state === 'free'));
});

test('a slot in use is not taken unless asked, and goes back to its holder', async () => {
  const holder = await gateway.client();
  const { name } = await holder.acquire({ slot: 'slot_3', label: 'somebody' });
  const refused = slotcast(gateway, 'exec', '-n', name, '--', 'true');
  expect(await refused.exitCode).toBe(1);
  expect(refused.seen.stderr).toMatch(/^slotcast: slot_3 is in use \(somebody\)\..*--takeover\.\n$/);
  const givenBack = new Promise((resolve) => holder.on('givenBack', resolve));
  const taken = slotcast(gateway, 'exec', '-n', '--takeover', name, '--', 'echo mine');
  expect(await taken.exitCode).toBe(0);
  expect(taken.seen.stdout.toString()).toBe('mine\n');
  expect(await givenBack).toEqual({ slot: 'slot_3' });
  await holder.call('slot.release', {});
});

test('--keep leaves the files for the next one', async () => {
  expect(await slotcast(gateway, 'exec', '-n', '--keep', 'slot_2', '--', 'echo here > kept').exitCode).toBe(0);
  const { seen, exitCode } = slotcast(gateway, 'exec', '-n', 'slot_2', '--', 'cat kept');
  expect(await exitCode).toBe(0);
  expect(seen.stdout.toString()).toBe('here\n');
});

test.each([
  [['nonsense'], 2, /unknown command/],
  [[], 2, /which command/],
  [['exec', 'new', 'ls', '-l'], 2, /-l.*after --/],
  [['token', '--role', 'king'], 2, /--role/],
  [['token', '--role', 'agent', '--cast', 'cast_x'], 2, /viewer/],
  [['token', '--slot', 'slot_1', '--cast', 'cast_x'], 2, /--cast/],
  [['token', '--cast', 'cast_none'], 1, /no recording "cast_none"/],
  [['play', '/nonexistent.cast'], 2, /neither a recording/],
  [['verify', '/nonexistent.cast'], 3, /neither a recording/],
  [['verify', '/'], 3, /EISDIR/],
  [['verify', 'cast_none'], 3, /no recording "cast_none"/],
  [['exec', '-n', 'slot_99', '--', 'true'], 1, /slot_99/],
  [['watch', 'slot_1'], 1, /free/],
  [['attach', 'slot_1'], 2, /needs a terminal/],
  [['slots', '--url', 'http://127.0.0.1:9'], 1, /127\.0\.0\.1:9.*slotcast serve/],
  [['slots', '--url', 'nonsense'], 2, /no URL/],
] as const)('%j is one line that says what to do', async (args, code, line) => {
  const { seen, exitCode } = slotcast(gateway, ...args);
  expect(await exitCode).toBe(code);
  expect(seen.stderr.trimEnd()).toMatch(/^slotcast: [^\n]+$/);
  expect(seen.stderr).toMatch(line);
});

test('without a token the line says where one was looked for', async () => {
  const { seen, exitCode } = slotcast(null, 'slots', '--url', gateway.url);
  expect(await exitCode).toBe(1);
  expect(seen.stderr).toMatch(/^slotcast: .*token.*SLOTCAST_TOKEN\.\n$/);
});

test('the token is found in the file that the gateway itself may be given; an empty one is none', async () => {
  const exitCodeWith = async (token: string): Promise<number | null> => {
    const file = join(gateway.dataDir, 'given');
    writeFileSync(file, token);
    const env = { ...environmentOf(null), SLOTCAST_TOKEN_FILE: file };
    const child = spawn(process.execPath, [PROGRAM, 'slots', '--url', gateway.url], { env, stdio: 'ignore' });
    return await new Promise((resolve) => child.on('close', resolve));
  };
  expect([await exitCodeWith(`${gateway.token}\n`), await exitCodeWith('')]).toEqual([0, 1]);
});

test('slots and casts speak JSON', async () => {
  const slots = slotcast(gateway, 'slots', '--json');
  expect(await slots.exitCode).toBe(0);
  expect(JSON.parse(slots.seen.stdout.toString())).toHaveLength(4);
  const casts = slotcast(gateway, 'casts', '--json', '--limit', '1');
  expect(await casts.exitCode).toBe(0);
  expect(JSON.parse(casts.seen.stdout.toString())).toHaveLength(1);
});

test('pin keeps a recording, --off no more, and casts shows which are kept', async () => {
  const { cast = '' } = (await (await gateway.client()).cast.list({ limit: 1 }))[0] ?? {};
  const pinnedNow = async (): Promise<boolean> => {
    const casts = slotcast(gateway, 'casts', '--limit', '1');
    expect(await casts.exitCode).toBe(0);
    const [head = '', row = ''] = casts.seen.stdout.toString().split('\n');
    return row.slice(head.indexOf('PINNED'), head.indexOf('LABEL')).trim() === 'yes';
  };
  expect(await pinnedNow()).toBe(false);
  expect(await slotcast(gateway, 'pin', cast).exitCode).toBe(0);
  expect(await pinnedNow()).toBe(true);
  expect(await slotcast(gateway, 'pin', cast, '--off').exitCode).toBe(0);
  expect(await pinnedNow()).toBe(false);
  const nowhere = slotcast(gateway, 'pin', 'cast_nowhere');
  expect(await nowhere.exitCode).toBe(1);
  expect(nowhere.seen.stderr).toMatch(/^slotcast: [^\n]*cast_nowhere[^\n]*\n$/);
});

test('watch prints what is drawn until the lease ends', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await slot.terminal.run({ command: 'echo before' });
  const { seen, exitCode } = slotcast(gateway, 'watch', slot.name);
  await until('the screen', () => seen.stdout.includes('before'));
  await slot.terminal.run({ command: 'echo af""ter; printf "\\033]52;c;aGk=\\007"' });
  await until('the frames', () => seen.stdout.includes('after'));
  await slot.release();
  expect(await exitCode).toBe(0);
  expect(seen.stderr).toMatch(/lease of slot_\d has ended: released/);
  expect(seen.stdout.toString()).not.toContain('\x1b]52');
});

test('play replays a recording of the gateway, and one in a file', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await slot.terminal.run({ command: 'echo played; sleep 0.2; echo on' });
  const { cast } = slot;
  await slot.release();
  const fast = ['--speed', '1000', '--idle-limit', '0.1'];
  const remote = slotcast(gateway, 'play', cast, ...fast);
  expect(await remote.exitCode).toBe(0);
  expect(remote.seen.stdout.toString()).toMatch(/played[\s\S]*on/);
  const file = join(gateway.dataDir, 'copy.cast');
  const { stream } = await agent.cast.download(cast);
  writeFileSync(file, Buffer.from(await new Response(stream).arrayBuffer()));
  const local = slotcast(null, 'play', file, ...fast);
  expect(await local.exitCode).toBe(0);
  expect(local.seen.stdout.equals(remote.seen.stdout)).toBe(true);
});

test('token asks a gateway that is named, and makes one by itself on its host', async () => {
  for (const env of [gateway, null]) {
    const flags = env === null ? ['--data-dir', gateway.dataDir] : [];
    const { seen, exitCode } = slotcast(env, 'token', '--role', 'viewer', '--slot', 'slot_1', '--ttl', '1m', ...flags);
    expect(await exitCode).toBe(0);
    const viewer = await gateway.client(seen.stdout.toString().trim());
    expect((await viewer.slots()).map(({ slot }) => slot)).toEqual(['slot_1']);
    await expect(viewer.acquire()).rejects.toMatchObject({ fault: 'FORBIDDEN' });
  }
});

test('token --cast makes one for that recording alone', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  const { cast } = slot;
  await slot.release();
  for (const env of [gateway, null]) {
    const flags = env === null ? ['--data-dir', gateway.dataDir] : [];
    const { seen, exitCode } = slotcast(env, 'token', '--cast', cast, ...flags);
    expect(await exitCode).toBe(0);
    const viewer = await gateway.client(seen.stdout.toString().trim());
    expect((await viewer.cast.list()).map((one) => one.cast)).toEqual([cast]);
    expect(await viewer.slots()).toEqual([]);
  }
});

test('doctor says what the host can do, here and at a gateway', async () => {
  for (const args of [
    ['--data-dir', gateway.dataDir],
    ['--url', gateway.url],
  ]) {
    const { seen, exitCode } = slotcast(gateway, 'doctor', ...args);
    expect(await exitCode).toBe(0);
    expect(seen.stdout.toString()).toMatch(/^ok +sandbox /m);
  }
});

test('verify says whether a recording is as it was recorded, asked of the gateway and of a file', async () => {
  const agent = await gateway.client();
  const slot = await agent.acquire();
  await slot.terminal.run({ command: 'echo verified' });
  const { cast } = slot;
  const live = slotcast(gateway, 'verify', cast);
  expect(await live.exitCode).toBe(2);
  expect(live.seen.stdout.toString()).toBe(`${cast}: not sealed: it is still being recorded\n`);
  await slot.release();
  const asked = slotcast(gateway, 'verify', cast);
  expect(await asked.exitCode).toBe(0);
  const { hash } = await agent.cast.info(cast);
  expect(asked.seen.stdout.toString()).toMatch(/^cast_\S+: intact and sealed: \d+ lines, hash [\w-]{43}\n$/);
  expect(asked.seen.stdout.toString()).toContain(` hash ${hash}\n`);
  const { stream } = await agent.cast.download(cast);
  const sound = await new Response(stream).text();
  const file = join(gateway.dataDir, 'copy of it.cast');
  const told = async (text: string) => {
    writeFileSync(file, text);
    // Without a gateway: what is said of a file needs none.
    const { seen, exitCode } = slotcast(null, 'verify', file);
    return [await exitCode, seen.stdout.toString().replace(file, 'CAST'), seen.stderr];
  };
  expect(await told(sound)).toEqual([0, asked.seen.stdout.toString().replace(cast, 'CAST'), '']);
  const at = sound.slice(0, sound.indexOf('verified')).split('\n').length;
  const changed = await told(sound.replace('verified', 'forged!!'));
  expect(changed).toEqual([
    1,
    expect.stringMatching(new RegExp(`^CAST: line ${at} is not as it was recorded: .*\n$`)),
    '',
  ]);
  expect(await told(sound.slice(0, -200))).toEqual([2, expect.stringMatching(/^CAST: not sealed: it ends .*\n$/), '']);
  const old = sound.split('\n').filter((line) => !line.startsWith('#'));
  expect(await told(old.join('\n'))).toEqual([2, expect.stringMatching(/^CAST: not chained: .*\n$/), '']);
});
