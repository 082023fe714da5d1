import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import { openBench } from './fixture.ts';

test('scratch', async () => {
  const opts = JSON.parse(process.env['OPTS'] ?? '{}');
  const b = await openBench(opts);
  const commands: string[] = JSON.parse(readFileSync('/tmp/tt/commands.json', 'utf8'));
  for (const c of commands) {
    const t = performance.now();
    try {
      console.log(
        c.slice(0, 70),
        '=>',
        JSON.stringify(await b.run(c, { timeoutMs: 3000 })).slice(0, 400),
        (performance.now() - t).toFixed(1),
      );
    } catch (e) {
      console.log(c, 'FAULT', e);
    }
  }
  const frames = b.log.read(0, 1e9) as any[];
  if (process.env['RAW']) console.log(frames.map((f) => `${f.timeMs} ${f.code} ${JSON.stringify(f.data)}`).join('\n'));
  const cap = await b.terminal.capture({ history: 100, format: 'text' });
  console.log(cap.text.trimEnd());
  await b.close();
}, 60000);
