// The same room under a gateway that is an ordinary user: no owner to give files to, and permissions that bind.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { isRoot, makeRoom } from './room.ts';

const REPOSITORY = resolve(import.meta.dirname, '../../..');
/** `nobody` of Debian: no files of its own, no groups. */
const NOBODY = 65_534;

/** Node 20 cannot run TypeScript, so the child gets the room compiled. */
function compile(directory: string): string {
  const out = join(directory, 'compiled');
  mkdirSync(out);
  const config = {
    extends: join(REPOSITORY, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      outDir: out,
      rootDir: REPOSITORY,
      typeRoots: [join(REPOSITORY, 'node_modules/@types')],
    },
    files: [join(REPOSITORY, 'server/workspace/workspace.ts')],
    include: [],
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(out, 'package.json'), '{"type":"module"}');
  symlinkSync(join(REPOSITORY, 'node_modules'), join(out, 'node_modules'));
  execFileSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', join(directory, 'tsconfig.json')]);
  return join(out, 'server/workspace/workspace.js');
}

const SCRIPT = `
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
const [module, root] = process.argv.slice(2);
const { Workspace } = await import(module);
const workspace = new Workspace({ root, owner: null });
const result = async (call) => call.then((value) => value ?? 'done', (error) => error.fault ?? error.message);
await workspace.write({ path: 'a/f', data: 'x' });
writeFileSync(root + '/closed', 'x', { mode: 0 });
mkdirSync(root + '/t/a/b/c', { recursive: true });
writeFileSync(root + '/t/a/b/c/f', 'x');
for (const path of ['t/a/b/c', 't/a/b', 't/a', 't']) chmodSync(root + '/' + path, 0o555);
mkdirSync(root + '/shut', { mode: 0 });
const { mode, uid } = statSync(root + '/a/f');
console.log(JSON.stringify({
  mode: mode & 0o7777,
  uid,
  read: (await workspace.read({ path: 'a/f' })).data,
  closed: await result(workspace.read({ path: 'closed' })),
  shut: await result(workspace.read({ path: 'shut/x' })),
  intoReadOnly: await result(workspace.write({ path: 't/a/new', data: 'x' })),
  ofRoot: await result(workspace.write({ path: 'root/new', data: 'x' })),
  link: await result(workspace.read({ path: 'link/secret.txt' })),
  archive: await workspace.archive().then(({ entries, skipped }) => ({ entries, skipped })),
  move: await result(workspace.move({ from: 'a/f', to: 'a/g' })),
  remove: await result(workspace.remove({ path: 't', recursive: true })),
  left: existsSync(root + '/t'),
}));
`;

test.runIf(isRoot)(
  'an ordinary user reads, writes and removes its own, and gets a fault for what permissions refuse',
  { timeout: 60_000 },
  () => {
    const { base, root, outside, at } = makeRoom();
    const module = compile(base);
    const script = join(base, 'script.mjs');
    writeFileSync(script, SCRIPT);
    mkdirSync(at('root'));
    symlinkSync(outside, at('link'));
    chownSync(root, NOBODY, NOBODY);
    chmodSync(base, 0o755);
    expect(statSync(at('root')).uid).toBe(0);
    const user = [
      '--reuid',
      `${NOBODY}`,
      '--regid',
      `${NOBODY}`,
      '--clear-groups',
      '--bounding-set=-all',
      '--inh-caps=-all',
    ];
    const printed = execFileSync('setpriv', [...user, process.execPath, script, module, root], { encoding: 'utf8' });
    expect(JSON.parse(printed)).toEqual({
      mode: 0o644,
      uid: NOBODY,
      read: 'x',
      closed: 'FORBIDDEN',
      shut: 'FORBIDDEN',
      intoReadOnly: 'FORBIDDEN',
      ofRoot: 'FORBIDDEN',
      link: 'PATH_OUTSIDE',
      // a, a/f, root, shut, t, t/a, t/a/b, t/a/b/c, t/a/b/c/f; skipped: closed, link, and what is in shut.
      archive: { entries: 9, skipped: 3 },
      move: 'done',
      remove: 'done',
      left: false,
    });
  },
);
