// The whole story: an agent clones a repository, sees its test fail, fixes the file in vim and commits, while two people watch and one of them loses the connection.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { playByAsciinema } from '../support/asciinema.ts';
import { startGateway, until } from '../support/gateway.ts';

/** A bundle of a small repository whose test fails: it subtracts where it should add. */
function brokenRepository(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'slotcast-repo-'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.org', ...args], {
      cwd: dir,
      stdio: 'pipe',
    });
  try {
    git('init', '-q', '-b', 'main');
    writeFileSync(join(dir, 'add.sh'), '#!/bin/bash\necho $(($1 - $2))\n');
    writeFileSync(
      join(dir, 'test.sh'),
      '#!/bin/bash\nif [ "$(./add.sh 2 3)" = 5 ]; then echo "1 passed"; else echo "1 failed"; exit 1; fi\n',
    );
    for (const script of ['add.sh', 'test.sh']) chmodSync(join(dir, script), 0o755);
    git('add', '.');
    git('commit', '-qm', 'add two numbers');
    git('bundle', 'create', '-q', 'seed.bundle', 'main', 'HEAD');
    return readFileSync(join(dir, 'seed.bundle'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function follow(client: Client) {
  const numbers: number[] = [];
  let text = '';
  client.on('watch.frames', ({ seq, frames }) => {
    for (const [index, [, code, data]] of frames.entries()) {
      numbers.push(seq + index);
      if (code === 'o') text += data;
    }
  });
  return { numbers, text: () => text };
}

test('an agent fixes a repository while two people watch and one of them reconnects', async () => {
  const gateway = await startGateway();
  const story: string[] = [];
  try {
    const agent = await gateway.client();
    const { slot, cast } = await agent.call('slot.acquire', { label: 'fix the adder' });
    const first = await gateway.client();
    const firstSees = follow(first);
    await first.call('watch.start', { slot });
    const second = await gateway.client();
    const secondSees = follow(second);
    await second.call('watch.start', { slot });

    const run = async (command: string) => {
      const result = await agent.call('terminal.run', { command });
      story.push(`$ ${command}`, result.output.trimEnd(), `→ ${result.outcome} ${result.exitCode}`);
      return result;
    };
    await agent.call('file.write', {
      path: 'seed.bundle',
      data: brokenRepository().toString('base64'),
      encoding: 'base64',
    });
    expect((await run('git clone -q seed.bundle project && cd project && ls -1')).output).toBe('add.sh\ntest.sh\n');
    expect(await run('./test.sh')).toMatchObject({ exitCode: 1, output: '1 failed\n' });

    await until('the second viewer', () => secondSees.text().includes('1 failed'));
    await second.close();
    const since = secondSees.numbers.at(-1) ?? 0;

    await agent.call('terminal.keys', { keys: ['vim -u NONE -N add.sh', 'Enter'] });
    await agent.call('terminal.wait', { text: '$1 - $2', timeoutMs: 10_000 });
    await agent.call('terminal.keys', { keys: [':%s/ - / + /', 'Enter'] });
    await agent.call('terminal.wait', { text: '$1 + $2', timeoutMs: 10_000 });
    story.push('vim shows:', (await agent.call('terminal.capture', {})).text.split('\n').slice(0, 3).join('\n'));
    await agent.call('terminal.keys', { keys: [':wq', 'Enter'] });
    await agent.call('terminal.wait', { prompt: true, timeoutMs: 10_000 });

    const back = await gateway.client();
    const backSees = follow(back);
    expect(await back.call('watch.start', { slot, since, cast })).toMatchObject({ seq: since, screen: '' });

    expect(await run('./test.sh')).toMatchObject({ exitCode: 0, output: '1 passed\n' });
    await run(
      'git -c user.name=Agent -c user.email=agent@example.org commit -qam "add, not subtract" && git log --oneline | wc -l',
    );
    const checked = await agent.call('exec.run', { command: 'git -C project status --porcelain; cat project/add.sh' });
    expect(checked).toMatchObject({ exitCode: 0, stdout: '#!/bin/bash\necho $(($1 + $2))\n' });

    await until('both viewers', () => firstSees.text().includes('1 passed') && backSees.text().includes('1 passed'));
    const seen = [...secondSees.numbers, ...backSees.numbers];
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => (seen[0] ?? 0) + index));
    await until('the same frames', () => firstSees.numbers.at(-1) === backSees.numbers.at(-1));
    expect(backSees.text()).toBe(firstSees.text().slice(-backSees.text().length));

    await agent.call('slot.release', {});
    const url = `${gateway.url}/casts/${cast}.cast?format=v2`;
    const recording = await (await fetch(url, { headers: { authorization: `Bearer ${gateway.token}` } })).text();
    const file = join(gateway.dataDir, 'story.cast');
    writeFileSync(file, recording);
    expect(playByAsciinema(file, gateway.dataDir)).toContain('1 passed');
    const { markers } = await first.call('cast.info', { cast });
    story.push(
      'chapters:',
      ...markers.flatMap(({ time, command, outcome, exitCode }) =>
        command ? [`${time.toFixed(2)} s  ${command}  ${outcome} ${exitCode}`] : [],
      ),
    );
    if (process.env['STORY']) process.stdout.write(`${story.join('\n')}\n`);
  } finally {
    await gateway.close();
  }
}, 60_000);
