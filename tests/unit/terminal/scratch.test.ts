import { test } from 'vitest';
import { openBench } from './fixture.ts';

test('scratch', async () => {
  const b = await openBench();
  await b.run('(exit 7)');
  await b.terminal.keys(['half', 'C-v']);
  await new Promise((r) => setTimeout(r, 300));
  console.log(await b.run('echo $?'));
  const frames = b.log.read(0, 1e9) as any[];
  console.log(frames.map((f) => `${f.timeMs} ${f.code} ${JSON.stringify(f.data)}`).join('\n'));
  await b.close();
}, 60000);
