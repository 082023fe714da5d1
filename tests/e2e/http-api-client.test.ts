// The HTTP API driven by a runtime in Python, as those in the field are: whole episodes on eight slots at once, cut connections, a shared repository.
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const run = promisify(execFile);
const runtime = new URL('runtime.py', import.meta.url).pathname;

let gateway: TestGateway | null = null;
let cache: string | null = null;
afterEach(async () => {
  await gateway?.close();
  if (cache !== null) rmSync(cache, { recursive: true, force: true });
});

/** A bare repository that every slot may add worktrees to, whatever its user. */
async function repository(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-cache-'));
  chmodSync(directory, 0o755);
  const git = async (...args: string[]) => await run('git', args, { cwd: directory });
  await git('init', '-q', '-b', 'main', 'seed');
  writeFileSync(join(directory, 'seed', 'README'), 'shared\n');
  const author = ['-c', 'user.email=a@b', '-c', 'user.name=seed'];
  await git('-C', 'seed', 'add', '.');
  await git('-C', 'seed', ...author, 'commit', '-qm', 'seed');
  await git('clone', '-q', '--bare', '-c', 'core.sharedRepository=0777', 'seed', 'repo.git');
  await run('chmod', ['-R', 'a+rwX', join(directory, 'repo.git')]);
  return directory;
}

test.each(['open', 'token'])(
  'a runtime drives eight slots at once with --http-api %s',
  async (access) => {
    cache = await repository();
    const mount = `${cache}:/data/repo_cache`;
    gateway = await startGateway('--http-api', access, '--slots', '8', '--mount', mount);
    // In a variable: other users of the host could read an argument.
    const env = { ...process.env, RUNTIME_TOKEN: access === 'token' ? gateway.token : '' };
    const { stdout } = await run('/usr/bin/python3', [runtime, gateway.url, '/data/repo_cache'], {
      timeout: 110_000,
      env,
    });
    expect(stdout).toBe('all held\n');
  },
  120_000,
);

test('without a token, --http-api token answers 401 in the shape of its failures', async () => {
  gateway = await startGateway('--http-api', 'token');
  const refused = await fetch(`${gateway.url}/execute`, { method: 'POST', body: '{}' });
  expect([refused.status, refused.headers.get('content-type')]).toEqual([401, 'application/json; charset=utf-8']);
  expect(await refused.json()).toEqual({ success: false, error: expect.stringContaining('Bearer') });
  const viewer = await gateway.mint({ role: 'viewer', ttlMs: 60_000 });
  const headers = { authorization: `Bearer ${viewer}` };
  expect((await fetch(`${gateway.url}/slots`, { headers })).status).toBe(403);
  const own = await gateway.mint({ role: 'agent', slot: 'slot_1', ttlMs: 60_000 });
  const seen = await fetch(`${gateway.url}/slots`, { headers: { authorization: `Bearer ${own}` } });
  expect(((await seen.json()) as { slots: unknown[] }).slots).toHaveLength(1);
  const foreign = await fetch(`${gateway.url}/execute`, {
    method: 'POST',
    headers: { authorization: `Bearer ${own}` },
    body: JSON.stringify({ slot_id: 'slot_0', tool: 'bash', args: { command: 'true' } }),
  });
  expect(await foreign.json()).toMatchObject({ success: false, error: 'This credential is for slot_1 only.' });
});

test('off is off: there are no such paths', async () => {
  gateway = await startGateway();
  for (const path of ['/execute', '/batch', '/reset', '/artifacts/read']) {
    expect((await fetch(`${gateway.url}${path}`, { method: 'POST', body: '{}' })).status).toBe(404);
  }
});
