// Paths of a workspace: what names, links and special files of a slot try through the file calls and the HTTP routes.
import { chmodSync, lstatSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { type Target, targets } from './gateway.ts';
import { http, makeOutside, type Outside, outcomeOf, raw, SECRET, workspaceOf } from './outside.ts';

const of = targets();
const boxes = new Map<User, Promise<Box>>();

/** One slot for each user, which all attacks share; each works in names of its own. */
interface Box {
  readonly gateway: Target;
  readonly slot: Slot;
  readonly outside: Outside;
  readonly files: string;
  sh(command: string): Promise<string>;
}

function box(as: User): Promise<Box> {
  const made = boxes.get(as) ?? makeBox(as);
  boxes.set(as, made);
  return made;
}

async function makeBox(as: User): Promise<Box> {
  const gateway = await of(as);
  const slot = await gateway.slot();
  const sh = async (command: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await slot.exec.run({ command });
    if (exitCode !== 0) throw new Error(`${command}: ${stderr}`);
    return stdout;
  };
  return { gateway, slot, outside: makeOutside(gateway), files: `/slots/${slot.name}/files`, sh };
}

/** Every call that takes a path, aimed at this one. */
const everyCall = ({ file, artifact }: Slot, path: string): Promise<unknown>[] => [
  file.read({ path }),
  file.write({ path, data: 'planted' }),
  file.list({ path }),
  file.stat(path),
  file.remove({ path, recursive: true }),
  file.mkdir(path),
  file.move({ from: path, to: 'stolen' }),
  file.move({ from: 'own', to: path, overwrite: true }),
  artifact.archive({ path }),
];

const outcomes = (calls: readonly Promise<unknown>[]) => Promise.all(calls.map(outcomeOf));

describe('B', () => {
  attack('B01', async (as) => {
    const { gateway, slot, sh, files, outside } = await box(as);
    await slot.file.write({ path: 'own', data: 'mine' });
    for (const path of ['../slot_1/s.txt', 'a/../../x', '..', '../../../outside/secret.txt', '/workspace/../x'])
      expect(await outcomes(everyCall(slot, path)), path).toEqual(Array(9).fill('PATH_OUTSIDE'));
    await slot.file.write({ path: '%2e%2e/literal', data: 'mine' });
    expect(await sh('cat ./%2e%2e/literal own')).toBe('minemine');
    const climbs = [
      '/../../../outside/secret.txt',
      '/..%2f..%2f..%2foutside%2fsecret.txt',
      '/a/%2e%2e/%2e%2e/x',
      '/..',
    ];
    for (const climb of climbs) {
      const { status, text } = await raw(gateway, { path: `${files}${climb}` });
      expect([climb, status >= 400 && status < 500, text.includes(SECRET)]).toEqual([climb, true, false]);
    }
    const { status, text } = await raw(gateway, { path: `${files}/%252e%252e/literal` });
    expect([status, text.endsWith('mine')]).toEqual([200, true]);
    outside.untouched();
  });

  attack('B02', async (as) => {
    const { gateway, slot, files, outside } = await box(as);
    await slot.file.write({ path: 'own', data: 'mine' });
    for (const path of ['/etc/passwd', '//etc/passwd', join(outside.dir, 'secret.txt'), '/workspacex/own', '/'])
      expect(await outcomes(everyCall(slot, path)), path).toEqual(Array(9).fill('PATH_OUTSIDE'));
    for (const path of ['/workspace/own', '//workspace//own', '/workspace/./own'])
      expect((await slot.file.read({ path })).data).toBe('mine');
    for (const path of ['//etc/passwd', '/%2fetc/passwd']) {
      const { status, text } = await raw(gateway, { path: `${files}${path}` });
      expect([path, status >= 400 && status < 500, text.includes('root:')]).toEqual([path, true, false]);
    }
  });

  attack('B03', async (as) => {
    const { gateway, slot, sh, files, outside } = await box(as);
    await sh(
      `ln -s ${outside.dir}/secret.txt to-file; ln -s /etc/passwd to-passwd; ln -s to-file to-link; echo 1 >own`,
    );
    for (const path of ['to-file', 'to-passwd', 'to-link']) {
      expect(await outcomeOf(slot.file.read({ path })), path).toBe('PATH_OUTSIDE');
      expect(await outcomeOf(slot.artifact.archive({ path })), path).toBe('PATH_OUTSIDE');
      expect(await outcomeOf(slot.file.write({ path, data: 'planted' })), path).toBe('WRONG_FILE_KIND');
      expect((await slot.file.stat(path)).kind).toBe('symlink');
      const [get, put] = [
        await http(gateway, `${files}/${path}`),
        await upload(gateway, `${files}/${path}`, 'planted'),
      ];
      expect([get.status, put.status, await get.text()]).toEqual([403, 409, expect.not.stringContaining(SECRET)]);
    }
    await slot.file.move({ from: 'own', to: 'to-file', overwrite: true });
    await slot.file.remove({ path: 'to-link' });
    expect(await sh('cat to-file; test -L to-passwd; ls to-link 2>&1 || true')).toMatch(/^1\nls: cannot access/);
    outside.untouched();
  });

  attack('B04', async (as) => {
    const { gateway, slot, sh, files, outside } = await box(as);
    await sh(`ln -s ${outside.dir} to-dir; ln -s / to-root; echo 1 >own; mkdir real`);
    for (const path of [
      'to-dir/secret.txt',
      'to-dir/sub',
      'to-dir/new',
      'to-root/etc/passwd',
      'real/../to-dir/secret.txt',
    ])
      expect(await outcomes(everyCall(slot, path)), path).toEqual(Array(9).fill('PATH_OUTSIDE'));
    for (const path of ['to-dir', 'to-dir/', 'to-dir/.']) {
      expect(await outcomeOf(slot.file.list({ path, recursive: true })), path).toBe('PATH_OUTSIDE');
      expect(await outcomeOf(slot.artifact.archive({ path })), path).toBe('PATH_OUTSIDE');
    }
    const listed = await slot.file.list({ recursive: true });
    expect(listed.entries.filter((entry) => entry.path.startsWith('to-dir'))).toMatchObject([{ kind: 'symlink' }]);
    const replies = [
      await http(gateway, `${files}/to-dir/secret.txt`),
      await upload(gateway, `${files}/to-dir/new`, 'planted'),
      await upload(gateway, `${files}/to-dir/new/parents/too`, 'planted'),
      await http(gateway, `/slots/${slot.name}/archive?path=to-dir`),
    ];
    expect(replies.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
    await slot.file.remove({ path: 'to-dir', recursive: true });
    outside.untouched();
  });

  attack('B08', async (as) => {
    const { slot, sh } = await box(as);
    const { stdout } = await slot.exec.run({
      command:
        'for file in /etc/passwd /usr/bin/id /tmp/own; do touch /tmp/own; ln $file hard 2>&1 || echo $?; done; ls hard 2>&1',
    });
    expect(stdout.match(/: (Invalid cross-device link|Operation not permitted)\n1$/gm)).toHaveLength(3);
    expect(stdout).toMatch(/cannot access 'hard': No such file/);
    // The control: within the workspace it works, and a write replaces one of the two names.
    await sh('echo 1 >one; ln one two');
    await slot.file.write({ path: 'two', data: 'changed' });
    expect(await sh('cat one two')).toBe('1\nchanged');
  });

  attack('B09', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await sh('mkfifo pipe; echo plain >plain');
    const started = performance.now();
    const reads = Array.from({ length: 8 }, () => outcomeOf(slot.file.read({ path: 'pipe' })));
    const [found, over, plain] = await Promise.all([
      Promise.all([...reads, outcomeOf(slot.artifact.archive({ path: 'pipe' }))]),
      http(gateway, `${files}/pipe`),
      slot.file.read({ path: 'plain' }),
    ]);
    expect([new Set(found), over.status, plain.data]).toEqual([new Set(['WRONG_FILE_KIND']), 409, 'plain\n']);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  attack('B10', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await sh('mkfifo pipe-in');
    const writes = await Promise.all(
      [1, 2, 3, 4, 5].map(() => outcomeOf(slot.file.write({ path: 'pipe-in', data: 'x' }))),
    );
    expect(writes).toEqual(Array(5).fill('WRONG_FILE_KIND'));
    expect((await upload(gateway, `${files}/pipe-in`, 'x')).status).toBe(409);
    expect(await sh('test -p pipe-in && ls -A | grep -c "[.]tmp$" || true')).toBe('0\n');
  });

  attack('B11', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await sh(`perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0)&&bind(S,pack_sockaddr_un("sock"))||die$!'`);
    expect((await slot.file.stat('sock')).kind).toBe('other');
    const tried = [slot.file.read({ path: 'sock' }), slot.file.write({ path: 'sock', data: '' })];
    expect(
      await outcomes([...tried, slot.artifact.archive({ path: 'sock' }), slot.file.list({ path: 'sock' })]),
    ).toEqual(Array(4).fill('WRONG_FILE_KIND'));
    expect((await http(gateway, `${files}/sock`)).status).toBe(409);
  });

  attack('B12', async (as) => {
    const { gateway, slot, files } = await box(as);
    const { stderr } = await slot.exec.run({ command: 'truncate -s 1T inside; ls -l inside >&2' });
    expect(stderr).toMatch(/File (too large|size limit exceeded).*\n.* 0 .* inside$/m);
    // By the host, which has no such limit.
    const size = 2 ** 40;
    const sparse = join(workspaceOf(gateway, slot.name), 'sparse');
    writeFileSync(sparse, '');
    chmodSync(sparse, 0o644);
    truncateSync(sparse, size);
    const started = performance.now();
    const read = await slot.file.read({ path: 'sparse', maxBytes: 1000 });
    expect(read).toMatchObject({ bytes: 1000, size, truncated: true, sha256: null });
    const last = await slot.file.read({ path: 'sparse', offset: size - 10 });
    expect(last).toMatchObject({ bytes: 10, truncated: false });
    const expectedSha256 = '0'.repeat(64);
    expect(await outcomeOf(slot.file.write({ path: 'sparse', data: 'x', expectedSha256 }))).toBe('TOO_LARGE');
    const tail = await http(gateway, `${files}/sparse`, { headers: { range: 'bytes=-5' } });
    expect([tail.status, (await tail.arrayBuffer()).byteLength]).toEqual([206, 5]);
    expect(await outcomeOf(slot.artifact.archive({ path: 'sparse' }))).toBe('TOO_LARGE');
    expect(performance.now() - started).toBeLessThan(5000);
    await slot.file.remove({ path: 'sparse' });
  });

  attack('B14', async (as) => {
    const { gateway, slot, files } = await box(as);
    for (const path of ['a\0b', '\0', 'own\0/../../x'])
      expect(await outcomes(everyCall(slot, path))).toEqual(Array(9).fill('INVALID_PARAMS'));
    expect((await raw(gateway, { path: `${files}/a%00b` })).status).toBe(400);
    expect((await raw(gateway, { path: `/slots/${slot.name}/archive?path=a%00b` })).status).toBe(400);
    for (const path of ['/%ff%fe', '/%', '/%zz', '/a\0b'])
      expect([path, (await raw(gateway, { path: `${files}${path}` })).status]).toEqual([path, 400]);
  });

  attack('B15', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await slot.file.write({ path: 'own', data: 'mine' });
    for (const path of ['n'.repeat(300), `${'d/'.repeat(2500)}x`, '漢'.repeat(90), 'x'.repeat(65_536)])
      expect(await outcomes(everyCall(slot, path))).toEqual(Array(9).fill('INVALID_PARAMS'));
    expect(await outcomeOf(slot.file.read({ path: 'x'.repeat(65_537) }))).toBe('INVALID_PARAMS');
    expect((await http(gateway, `${files}/${'d/'.repeat(2500)}x`)).status).toBe(400);
    // 2,000 levels can be named; 400 of long names can't, and only programs of the slot get there.
    const deep = `${'d/'.repeat(2000)}leaf`;
    await slot.file.write({ path: `levels/${deep}`, data: 'mine' });
    expect((await slot.file.read({ path: `levels/${deep}` })).data).toBe('mine');
    await sh(`mkdir long; cd long; perl -e '$n="n"x250; for(1..400){mkdir $n or die $!; chdir $n or die $!}'`);
    const listed = await slot.file.list({ path: 'long', recursive: true });
    expect([listed.truncated, listed.entries.length]).toEqual([true, 16]);
    for (const path of ['levels', 'long']) await slot.file.remove({ path, recursive: true });
    expect(await sh('ls -A | grep -cE "^(levels|long|.*[.]gone)$" || true')).toBe('0\n');
  });

  attack('B17', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    const name = 'a\nb\x1b[31m\u202ecod.\r\t\x7f"\\';
    await sh(`mkdir odd; cd odd; printf 1 >$'a\\nb\\e[31m\\u202ecod.\\r\\t\\x7f"\\\\'; printf 2 >$'\\xff'`);
    const { entries } = await slot.file.list({ path: 'odd' });
    expect(entries.map(({ path }) => path).sort()).toEqual([`odd/${name}`, 'odd/\ufffd']);
    expect((await slot.file.read({ path: `odd/${name}` })).data).toBe('1');
    const reply = await raw(gateway, { path: `${files}/odd/${encodeURIComponent(name)}` });
    const [head = ''] = reply.text.split('\r\n\r\n');
    expect(reply.status).toBe(200);
    expect(head.replaceAll('\r\n', '')).not.toMatch(/[^\x20-\x7e]/);
    const missing = slot.file.read({ path: `${name}/none` });
    await expect(missing).rejects.toThrow(/^[\x20-\x7e]*$/);
  });

  attack('B18', async (as) => {
    const { slot, sh } = await box(as);
    const names = ['A', 'a', '\u00e9', 'e\u0301'];
    for (const name of names) await slot.file.write({ path: `forms/${name}`, data: name });
    for (const name of names) expect((await slot.file.read({ path: `forms/${name}` })).data).toBe(name);
    expect(await sh('ls forms | wc -l')).toBe('4\n');
  });

  attack('B19', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await sh('mkdir full; echo 1 >full/file; rm -rf own; echo 1 >own');
    const write = (path: string) => outcomeOf(slot.file.write({ path, data: 'x' }));
    for (const path of ['.', '/workspace', './', 'full', 'full/', 'new/', 'full/..', 'own/', 'own/below'])
      expect([path, await write(path)]).toEqual([path, 'WRONG_FILE_KIND']);
    expect(await write('')).toBe('INVALID_PARAMS');
    for (const path of ['', '/', '/full', '/full/']) {
      const { status } = await upload(gateway, `${files}${path}`, 'x');
      expect([path, status >= 400 && status < 500]).toEqual([path, true]);
    }
    const itself = [
      slot.file.remove({ path: '.', recursive: true }),
      slot.file.move({ from: '.', to: 'x' }),
      slot.file.move({ from: 'own', to: '.' }),
      slot.file.move({ from: 'full', to: 'full/inside' }),
    ];
    expect(await outcomes(itself)).toEqual(['INVALID_PARAMS', 'INVALID_PARAMS', 'WRONG_FILE_KIND', 'INVALID_PARAMS']);
    expect(await sh('cat own full/file; ls -d new 2>&1 || true')).toMatch(/^1\n1\nls: cannot access/);
  });

  attack('B20', async (as) => {
    const { slot } = await box(as);
    await slot.file.write({ path: 'wide', data: '漢'.repeat(100_000) });
    const read = await slot.file.read({ path: 'wide', maxBytes: 100_000 });
    expect([read.bytes, read.size, read.data.length, read.truncated]).toEqual([99_999, 300_000, 33_333, true]);
    // 16 MiB of bytes in a third as many characters.
    expect(await outcomeOf(slot.file.write({ path: 'wide', data: '漢'.repeat(6_000_000) }))).toBe('TOO_LARGE');
    expect((await slot.file.stat('wide')).size).toBe(300_000);
  });

  attack('B21', async (as) => {
    const { gateway, slot, files } = await box(as);
    const grow = `perl -e 'open F, ">>grows"; while (1) { syswrite F, "x" x 65536; select undef, undef, undef, 0.002 }'`;
    const writer = await slot.exec.start({ command: grow });
    const grown = async () => (await slot.file.stat('grows').catch(() => ({ size: 0 }))).size;
    await expect.poll(grown, { timeout: 10_000 }).toBeGreaterThan(100_000);
    const read = await slot.file.read({ path: 'grows', maxBytes: 200_000 });
    expect(read.bytes).toBeLessThanOrEqual(200_000);
    const reply = await http(gateway, `${files}/grows`);
    const told = Number(reply.headers.get('content-length'));
    const got = (await reply.arrayBuffer()).byteLength;
    expect([got, told > 100_000]).toEqual([told, true]);
    await expect.poll(grown).toBeGreaterThan(told);
    await writer.signal('SIGKILL');
    await writer.exit;
    await slot.file.remove({ path: 'grows' });
  });

  attack('B22', async (as) => {
    const { gateway, slot, sh, files } = await box(as);
    await slot.file.write({ path: 'owned/by/rpc', data: 'x' });
    await upload(gateway, `${files}/owned/by/http`, 'x');
    await slot.file.mkdir('owned/dir');
    await sh('umask 0; echo 1 >owned/odd; chmod 7777 owned/odd');
    await slot.file.write({ path: 'owned/odd', data: 'x' });
    const { uid } = lstatSync(workspaceOf(gateway, slot.name));
    expect(uid).not.toBe(0);
    const found = ['.', 'by', 'by/rpc', 'by/http', 'dir', 'odd'].map((name) => {
      const stat = lstatSync(join(workspaceOf(gateway, slot.name), 'owned', name));
      return [name, stat.uid, stat.gid, (stat.mode & 0o7777).toString(8)];
    });
    const modes = ['755', '755', '644', '644', '755', '777'];
    expect(found).toEqual(found.map(([name], at) => [name, uid, uid, modes[at]]));
    expect(await sh('stat -c %u owned/by/rpc')).toBe('1000\n');
  });
});

const upload = (gateway: Target, path: string, body: string) => http(gateway, path, { method: 'PUT', body });
