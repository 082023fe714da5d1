import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { CastInfo } from '../../protocol/cast.ts';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { alone } from '../support/remote.ts';

let gateway: TestGateway;
let agent: Client;
beforeEach(async () => {
  gateway = await startGateway('--slots', '2');
  agent = await gateway.client();
});
afterEach(() => gateway?.close());

/** Runs these in a lease of their own, by turns in a sandbox and in the terminal; gives the recording. */
async function record(label: string, ...commands: string[]): Promise<string> {
  const { cast } = await agent.call('slot.acquire', { slot: 'slot_0', label });
  for (const [number, command] of commands.entries()) {
    await agent.call(number % 2 === 0 ? 'exec.run' : 'terminal.run', { command });
  }
  await agent.call('slot.release', {});
  return cast;
}

const found = async (filter: object): Promise<string[]> =>
  (await agent.call('cast.list', filter)).casts.map(({ cast }) => cast);
const about = async (cast: string): Promise<CastInfo | undefined> =>
  (await agent.call('cast.list', {})).casts.find((one) => one.cast === cast);
const digestOf = (cast: string): string => join(gateway.dataDir, 'casts', `${cast}.digest`);

test('recordings are found by words of their label and commands, whatever case, live ones too', async () => {
  alone();
  const tests = await record('Nightly CI', 'echo one', 'echo Running-Tests');
  const build = await record('build', 'echo two', 'true');
  const { cast: live } = await agent.call('slot.acquire', { slot: 'slot_1', label: 'ci' });
  await agent.call('exec.run', { command: 'echo three' });
  expect(await found({ search: 'CI' })).toEqual([live, tests]);
  expect(await found({ search: 'running-tests nightly' })).toEqual([tests]);
  expect(await found({ search: 'ECHO slot_0' })).toEqual([build, tests]);
  expect(await found({ search: 'three' })).toEqual([live]);
  expect(await found({ search: 'echo', limit: 1 })).toEqual([live]);
  expect(await found({ search: 'echo', before: live })).toEqual([build, tests]);
  expect(await found({ search: 'echo nothing-of-it' })).toEqual([]);
  expect(await found({ search: '  ' })).toEqual([live, build, tests]);
  const reply = await fetch(`${gateway.url}/casts?search=nightly%20one&from=0&to=${Date.now() + 1000}`, {
    headers: { authorization: `Bearer ${gateway.token}` },
  });
  expect(((await reply.json()) as { casts: CastInfo[] }).casts.map(({ cast }) => cast)).toEqual([tests]);
});

test('recordings are found by the time at which they began', async () => {
  alone();
  const first = await record('first', 'true');
  const second = await record('second', 'true');
  const startedAt = (await about(second))?.startedAt ?? 0;
  expect(await found({ from: startedAt })).toEqual([second]);
  expect(await found({ to: startedAt })).toEqual([first]);
  expect(await found({ from: startedAt, to: startedAt + 1, search: 'true' })).toEqual([second]);
  expect(await found({ from: startedAt + 1 })).toEqual([]);
});

test('a recording counts the commands that failed, also after a restart, and when what it kept of that is damaged or gone', async () => {
  const cast = await record('counted', 'true', 'false', 'exit 3', 'true', 'kill -9 $$');
  const counts = { commands: 5, failed: 3 };
  expect(await about(cast)).toMatchObject(counts);
  expect(await agent.call('cast.info', { cast })).toMatchObject(counts);
  await until('the digest', () => existsSync(digestOf(cast)));
  const kept = readFileSync(digestOf(cast), 'utf8');
  for (const damage of [kept, kept.slice(0, 20), '', '{}', kept.replace(/"failed":\d+/, '"failed":-1'), 'null']) {
    await gateway.restart(() => writeFileSync(digestOf(cast), damage));
    agent = await gateway.client();
    expect(await about(cast)).toMatchObject(counts);
    expect(await found({ search: 'kill -9' })).toEqual([cast]);
    expect(readFileSync(digestOf(cast), 'utf8')).toBe(kept);
  }
});

test('a command that runs has not failed; when its lease ends with it, it has', async () => {
  const { cast } = await agent.call('slot.acquire', {});
  await agent.call('exec.start', { command: 'sleep 60' });
  expect(await about(cast)).toMatchObject({ live: true, commands: 1, failed: 0 });
  await agent.call('slot.release', {});
  expect(await about(cast)).toMatchObject({ live: false, commands: 1, failed: 1 });
});

test('what was kept of a recording goes with it', async () => {
  const cast = await record('gone', 'true');
  await until('the digest', () => existsSync(digestOf(cast)));
  await gateway.restart(() => writeFileSync(join(gateway.dataDir, 'casts', 'cast_orphan.digest'), ''));
  agent = await gateway.client();
  expect(await found({})).toEqual([cast]);
  expect(readdirSync(join(gateway.dataDir, 'casts')).sort()).toEqual([`${cast}.cast`, `${cast}.digest`]);
});

test('a token of one slot finds the recordings of that slot only', async () => {
  const other = await record('other', 'echo secret-word');
  const viewer = await gateway.client(await gateway.mint({ role: 'viewer', slot: 'slot_1', ttlMs: 60_000 }));
  expect((await viewer.call('cast.list', { search: 'secret-word' })).casts).toEqual([]);
  expect(await found({ search: 'secret-word' })).toEqual([other]);
});
