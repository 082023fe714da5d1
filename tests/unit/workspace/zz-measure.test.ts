import { test } from 'vitest';
import { makeRoom, python } from './room.ts';

test('measure', { timeout: 120000 }, async () => {
  const room = makeRoom();
  await python(
    'import os,sys,random\nos.chdir(sys.argv[1])\nfor n in range(1000):\n os.makedirs(f"d{n%10}",exist_ok=True)\n with open(f"d{n%10}/{n}.txt","w") as f: f.write("".join(random.choice("abcdefghijklmnop ") for _ in range(2048)))',
    room.at('.'),
  );
  const { gzipSync } = await import('node:zlib');
  const { readFileSync } = await import('node:fs');
  for (let i = 0; i < 4; i++) {
    const t = performance.now();
    const parts: Buffer[] = [];
    for (let n = 0; n < 1000; n++) {
      parts.push(Buffer.alloc(512), readFileSync(room.at(`d${n % 10}/${n}.txt`)));
    }
    gzipSync(Buffer.concat(parts), { level: 1 });
    console.log('floor: sync read and gzip', (performance.now() - t).toFixed(0));
    const t1 = performance.now();
    await python(
      'import io,os,sys,tarfile,time\nt=time.time();b=io.BytesIO()\nwith tarfile.open(fileobj=b,mode="w:gz") as z: z.add(sys.argv[1])\nprint(time.time()-t)',
      room.at('.'),
    ).then((x) => console.log('python tarfile s', x.trim()));
  }
  for (const format of ['tar.gz', 'zip'] as const)
    for (let i = 0; i < 6; i++) {
      const t = performance.now();
      const r = await room.workspace.archive({ format });
      console.log(format, (performance.now() - t).toFixed(0), 'ms', r.bytes);
    }
  let t = performance.now();
  for (let i = 0; i < 200; i++) await room.workspace.read({ path: 'd1/1.txt' });
  console.log('read', ((performance.now() - t) / 200).toFixed(2), 'ms');
  t = performance.now();
  for (let i = 0; i < 200; i++) await room.workspace.write({ path: 'd1/w.txt', data: 'x' });
  console.log('write', ((performance.now() - t) / 200).toFixed(2), 'ms');
  t = performance.now();
  await room.workspace.list({ recursive: true });
  console.log('list 1010', (performance.now() - t).toFixed(0));
  t = performance.now();
  await python(
    'import os,sys\nos.chdir(sys.argv[1])\nfor n in range(1900):\n os.mkdir("b");open("b/f","w").close();os.mkdir("a"); os.chdir("a")',
    room.at('.'),
  );
  console.log('comb py', (performance.now() - t).toFixed(0));
  t = performance.now();
  await room.workspace.list({ recursive: true, maxEntries: 100000 });
  console.log('list comb', (performance.now() - t).toFixed(0));
  t = performance.now();
  await room.workspace.archive();
  console.log('archive comb', (performance.now() - t).toFixed(0));
  t = performance.now();
  await room.workspace.remove({ path: 'a', recursive: true });
  console.log('rm comb', (performance.now() - t).toFixed(0));
  const p = 'd/'.repeat(2000) + 'f';
  t = performance.now();
  await room.workspace.write({ path: p, data: 'x' });
  console.log('write deep', (performance.now() - t).toFixed(0));
  t = performance.now();
  await room.workspace.read({ path: p });
  console.log('read deep', (performance.now() - t).toFixed(0));
});
