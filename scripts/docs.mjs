// `npm run docs`: writes docs/openrpc.json and docs/protocol.md from the contract; with --check only says whether they are what it would write.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { protocolPage } from './protocol-page.mjs';
import { main, SetupError } from './say.mjs';
import { root, setUp } from './setup.mjs';

await main(async () => {
  setUp();
  const { openRpc } = await import(pathToFileURL(join(root, 'dist', 'protocol', 'openrpc.js')).href);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const document = openRpc(version);
  const head = readFileSync(join(root, 'docs', 'protocol.head.md'), 'utf8');
  const pages = {
    'docs/openrpc.json': formatted('docs/openrpc.json', JSON.stringify(document, null, 2)),
    'docs/protocol.md': `${protocolPage(document, head).trimEnd()}\n`,
  };
  if (process.argv.includes('--check')) check(pages);
  else for (const [name, text] of Object.entries(pages)) writeFileSync(join(root, name), text);
});

function check(pages) {
  const stale = Object.entries(pages).filter(([name, text]) => {
    const path = join(root, name);
    return !existsSync(path) || readFileSync(path, 'utf8') !== text;
  });
  if (stale.length === 0) return;
  throw new SetupError(`${stale.map(([name]) => name).join(' and ')} do not fit protocol/. Run: npm run docs`);
}

/** As the formatter, which looks at every JSON file here, wants it. */
function formatted(name, text) {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const { status, stdout, stderr } = spawnSync(process.execPath, [biome, 'format', `--stdin-file-path=${name}`], {
    cwd: root,
    encoding: 'utf8',
    input: text,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new SetupError(`the formatter failed: ${stderr.trim()}`);
  return stdout;
}
