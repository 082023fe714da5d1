// Archives of a workspace whose files are meant to do harm: to the gateway that packs them, or to whoever unpacks them.
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { attack } from './attack.ts';
import type { User } from './catalogue.ts';
import { type Target, targets } from './gateway.ts';
import { http, makeOutside, outcomeOf, SECRET, workspaceOf } from './outside.ts';

const of = targets();
const FORMATS = ['tar.gz', 'zip'] as const;
type Format = (typeof FORMATS)[number];

interface Box {
  readonly gateway: Target;
  readonly slot: Slot;
  sh(command: string): Promise<string>;
}

/** A slot of its own for each attack, so that what it archives is what it made. */
async function inSlot(as: User, attacked: (box: Box) => Promise<void>): Promise<void> {
  const gateway = await of(as);
  await using slot = await gateway.slot();
  const sh = async (command: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await slot.exec.run({ command });
    if (exitCode !== 0) throw new Error(`${command}: ${stderr}`);
    return stdout;
  };
  await attacked({ gateway, slot, sh });
}

/** The same directory by both ways. */
async function both({ gateway, slot }: Box, format: Format, path = '.') {
  const { data, entries, skipped } = await slot.artifact.archive({ path, format });
  const reply = await http(gateway, `/slots/${slot.name}/archive?format=${format}&path=${path}`);
  const streamed = Buffer.from(await reply.arrayBuffer());
  return { packed: [Buffer.from(data, 'base64'), streamed], entries, skipped, status: reply.status };
}

/** Names as they stand in it, sorted; tar itself has to find nothing wrong. */
function namesIn(packed: Buffer, format: Format): string[] {
  return (format === 'zip' ? zipNames(packed) : tarLines(packed, [])).sort();
}

function tarLines(packed: Buffer, options: readonly string[]): string[] {
  const args = ['-tzf', '-', '--quoting-style=escape', ...options];
  const { stdout, stderr, status } = spawnSync('tar', args, { input: packed, encoding: 'utf8', maxBuffer: 2 ** 26 });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

/** From its central directory, which unpackers go by. */
function zipNames(packed: Buffer): string[] {
  const names: string[] = [];
  const end = packed.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  let at = packed.readUInt32LE(end + 16);
  for (let left = packed.readUInt16LE(end + 10); left > 0; left -= 1) {
    expect(packed.readUInt32LE(at)).toBe(0x02014b50);
    const [name, extra, comment] = [28, 30, 32].map((field) => packed.readUInt16LE(at + field));
    names.push(packed.toString('utf8', at + 46, at + 46 + (name ?? 0)));
    at += 46 + (name ?? 0) + (extra ?? 0) + (comment ?? 0);
  }
  return names;
}

/** Asks /healthz again and again from a thread of its own, since this one is busy with replies. Says the longest wait. */
function pinging(gateway: Target): { longestMs(): Promise<number> } {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    let longest = 0, on = true;
    parentPort.once('message', () => { on = false; });
    (async () => {
      for (let n = 0; on; n++) {
        const began = performance.now();
        await (await fetch(workerData)).text();
        if (n > 0) longest = Math.max(longest, performance.now() - began);
      }
      parentPort.postMessage(longest);
    })();`;
  const worker = new Worker(code, { eval: true, workerData: `${gateway.url}/healthz` });
  return {
    longestMs: () =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.postMessage('stop');
      }),
  };
}

/** What of a workspace the gateway has open. */
function openIn(gateway: Target, slot: string): string[] {
  const fds = `/proc/${gateway.pid}/fd`;
  return readdirSync(fds).flatMap((fd) => {
    try {
      const file = readlinkSync(join(fds, fd));
      return file.startsWith(workspaceOf(gateway, slot)) ? [file] : [];
    } catch {
      return [];
    }
  });
}

describe('C', () => {
  attack('C01', async (as) => {
    await inSlot(as, async (box) => {
      await box.sh('ln -s . loop; mkdir -p a/b; ln -s ../.. a/b/up; ln -s /workspace a/top; echo 1 >a/b/file');
      for (const format of FORMATS) {
        const { packed, skipped } = await both(box, format);
        for (const one of packed) expect(namesIn(one, format)).toEqual(['a/', 'a/b/', 'a/b/file']);
        expect(skipped).toBe(3);
      }
    });
  });

  attack(
    'C02',
    async (as) => {
      await inSlot(as, async (box) => {
        const { gateway, slot, sh } = box;
        // Four processes and hard links: a second instead of ten.
        await sh(`perl -e 'for $d (1..4) { next if fork; mkdir "d$d"; chdir "d$d"; open F, ">", "f0"; link "f0", "f$_" for 1..49999; exit }
          1 while wait > 0'`);
        const pings = pinging(gateway);
        // Some of them, by each way that is bounded by entries: the default limit of 100,000 would be the same for ten times as long.
        const limited = slot.artifact.archive({ maxEntries: 10_000 });
        await expect(limited).rejects.toThrow(/more than 10000 entries \(maxEntries\)/);
        const flat = slot.artifact.archive({ path: 'd1', format: 'zip', maxEntries: 10_000 });
        expect(await outcomeOf(flat)).toBe('TOO_LARGE');
        const listed = await slot.file.list({ recursive: true, maxEntries: 30_000 });
        expect([listed.entries.length, listed.truncated]).toEqual([30_000, true]);
        // A tenth of a second on a machine of its own; one that has other work gets more.
        expect(await pings.longestMs()).toBeLessThan(2000);
      });
    },
    60_000,
  );

  attack('C03', async (as) => {
    await inSlot(as, async (box) => {
      await box.sh(`perl -e 'for (1..1999) { mkdir "d"; chdir "d" } open F, ">leaf"'`);
      const { data, entries, skipped } = await box.slot.artifact.archive();
      const reply = await http(box.gateway, `/slots/${box.slot.name}/archive?format=zip`);
      const leaf = `${'d/'.repeat(1999)}leaf`;
      expect([entries, skipped, namesIn(Buffer.from(data, 'base64'), 'tar.gz').at(-1)]).toEqual([2000, 0, leaf]);
      expect(namesIn(Buffer.from(await reply.arrayBuffer()), 'zip').at(-1)).toBe(leaf);
      // Deeper than any path can name: what can't be named is left out and counted.
      await box.sh(`rm -rf d; perl -e '$n = "n" x 200; for (1..100) { mkdir $n; chdir $n } open F, ">leaf"'`);
      const cut = await both(box, 'tar.gz');
      for (const one of cut.packed) expect(namesIn(one, 'tar.gz')).toHaveLength(cut.entries);
      expect(cut.skipped).toBeGreaterThan(0);
    });
  });

  attack('C05', async (as) => {
    await inSlot(as, async (box) => {
      const churn = `mkdir churn; perl -e '$| = 1; sub put { open F, ">churn/$_[0]"; print F "x" x ($_[0] * 40) }
        put $_ for 1..300; print "ready\\n";
        while (1) { $n = 1 + int rand 300; unlink "churn/$n"; put 1 + int rand 300; truncate "churn/" . (1 + int rand 300), 5 }'`;
      const running = await box.slot.exec.start({ command: churn });
      await running[Symbol.asyncIterator]().next();
      let lost = 0;
      for (let n = 0; n < 40 && (lost === 0 || n < 6); n += 1) {
        const format = n % 2 === 0 ? 'tar.gz' : 'zip';
        const { packed, entries, skipped } = await both(box, format);
        expect(namesIn(packed[0] ?? Buffer.alloc(0), format)).toHaveLength(entries);
        expect(namesIn(packed[1] ?? Buffer.alloc(0), format).length).toBeGreaterThan(1);
        lost += skipped;
      }
      await running.signal('SIGKILL');
      expect(lost).toBeGreaterThan(0);
    });
  });

  attack('C06', async (as) => {
    await inSlot(as, async (box) => {
      const names = [
        '..\\..\\x',
        'a\\..\\..\\y',
        'C:x',
        'c:',
        '\\\\host\\share',
        '...',
        'a\nb',
        '-rf',
        '\u202Ecod.exe',
      ];
      for (const name of names) await box.slot.file.write({ path: name, data: 'x' });
      await box.sh(
        `mkdir 'C:' '..\\'; echo 1 >'C:/x'; echo 1 >'..\\/x'; echo 1 >$'\\xff..'; echo 1 >$'\\xc0\\xae\\xc0\\xae'`,
      );
      for (const format of FORMATS) {
        const { packed, entries, skipped } = await both(box, format);
        for (const one of packed) {
          const found = namesIn(one, format);
          expect([found.length, new Set(found).size, skipped]).toEqual([entries, entries, 0]);
          // tar writes a control character as a backslash and a letter or number.
          for (const name of found)
            expect(name.replace(/\\[n0-7]+/g, '_')).not.toMatch(/^\/|^\w+:|\\|(^|\/)\.\.?(\/|$)/);
        }
      }
    });
  });

  attack('C08', async (as) => {
    await inSlot(as, async (box) => {
      await box.sh(
        `mkfifo p q; perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0)&&bind(S,pack_sockaddr_un("s"))||die$!'; echo 1 >f`,
      );
      const started = performance.now();
      for (const format of FORMATS) {
        const { packed, skipped } = await both(box, format);
        for (const one of packed) expect(namesIn(one, format)).toEqual(['f']);
        expect(skipped).toBe(3);
      }
      expect(performance.now() - started).toBeLessThan(5000);
    });
  });

  attack('C09', async (as) => {
    await inSlot(as, async ({ gateway, slot, sh }) => {
      // As large as a file may be there, and the same bytes under many names.
      await sh('truncate -s 4G sparse; for n in $(seq 200); do ln sparse s$n; done');
      // Directories of other tests come and go there, all of them by such names.
      const temporary = () =>
        readdirSync(tmpdir()).filter((name) => !/^slotcast-[a-z]+-|^[\w-]{21}$|^node-compile/.test(name));
      const before = temporary();
      expect(await outcomeOf(slot.artifact.archive())).toBe('TOO_LARGE');
      const url = `/slots/${slot.name}/archive`;
      const memory = gateway.memory();
      const replies = await Promise.all(FORMATS.map((format) => http(gateway, `${url}?format=${format}`)));
      const readers = replies.map((reply) => reply.body?.getReader());
      for (const reader of readers) expect((await reader?.read())?.done).toBe(false);
      expect(temporary()).toEqual(before);
      expect(openIn(gateway, slot.name).length).toBeGreaterThan(0);
      // Who hangs up ends it, and nothing stays open.
      for (const reader of readers) await reader?.cancel();
      await expect.poll(() => openIn(gateway, slot.name), { timeout: 10_000 }).toEqual([]);
      expect(gateway.memory() - memory).toBeLessThan(200 * 1024 ** 2);
      // Incompressible bytes end at the limit of the archive itself.
      await sh('rm -f s*; head -c 20000000 /dev/urandom >random');
      await expect(slot.artifact.archive({ maxBytes: 1_000_000 })).rejects.toThrow('larger than 1000000 bytes');
      await expect.poll(() => openIn(gateway, slot.name), { timeout: 10_000 }).toEqual([]);
    });
  });

  attack('C10', async (as) => {
    await inSlot(as, async (box) => {
      await box.sh('echo 1 >setuid; chmod 6755 setuid; echo 1 >open; chmod 666 open; mkdir -m 3777 sticky');
      const { packed } = await both(box, 'tar.gz');
      for (const one of packed) {
        const lines = tarLines(one, ['-v']).map((line) => line.split(/\s+/));
        const found = lines.map((line) => [line.at(-1), line[0], line[1]]);
        expect(found.sort()).toEqual([
          ['open', '-rw-r--r--', '0/0'],
          ['setuid', '-rwxr-xr-x', '0/0'],
          ['sticky/', 'drwxr-xr-x', '0/0'],
        ]);
      }
    });
  });

  attack('C11', async (as) => {
    await inSlot(as, async ({ gateway, slot }) => {
      for (const name of [
        'x.html',
        'x.svg',
        'x.xhtml',
        'x.js',
        'x.pdf',
        'x',
        'a"; filename=x.html',
        'x.html\r\nx-evil: 1',
      ]) {
        await slot.file.write({ path: name, data: '<script>alert(1)</script>' });
        const { headers } = await http(gateway, `/slots/${slot.name}/files/${encodeURIComponent(name)}`);
        expect(headers.get('content-disposition')).toMatch(
          /^attachment; filename="[^"\\%]*"; filename\*=UTF-8''[\w.%~-]*$/,
        );
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'/);
        expect(headers.get('x-evil')).toBe(null);
      }
      const archive = await http(gateway, `/slots/${slot.name}/archive?format=zip`);
      expect(archive.headers.get('content-disposition')).toMatch(/^attachment/);
      await archive.arrayBuffer();
    });
  });

  attack('C12', async (as) => {
    await inSlot(as, async ({ gateway, slot, sh }) => {
      const outside = makeOutside(gateway, `outside-${slot.name}`);
      await sh(
        'for n in 1 2 3 4 5 6; do mkdir -p d$n/sub; head -c 3000000 /dev/urandom >d$n/big; echo 1 >d$n/sub/deep.txt; done',
      );
      const [, zip] = FORMATS;
      const replies = await Promise.all([
        http(gateway, `/slots/${slot.name}/archive`),
        http(gateway, `/slots/${slot.name}/archive?format=${zip}`),
      ]);
      // Both are on their way, held back by a reader that waits; now the terminal puts links where directories and files were.
      const swap = `rm -rf d4/sub d6; ln -s ${outside.dir}/sub d4/sub; ln -s ${outside.dir} d6; rm d5/big; ln -s ${outside.dir}/secret.txt d5/big`;
      const swapped = await slot.terminal.run({ command: swap });
      expect(swapped).toMatchObject({ exitCode: 0 });
      const [tar, zipped] = await Promise.all(replies.map(async (reply) => Buffer.from(await reply.arrayBuffer())));
      const content = gunzipSync(tar ?? '').toString('latin1');
      expect(content.includes(SECRET)).toBe(false);
      expect(zipped?.includes(SECRET)).toBe(false);
      for (const names of [namesIn(tar ?? Buffer.alloc(0), 'tar.gz'), namesIn(zipped ?? Buffer.alloc(0), zip)]) {
        expect(names).toContain('d1/big');
        expect(names.filter((name) => name.includes('secret'))).toEqual([]);
      }
      outside.untouched();
    });
  });
});
