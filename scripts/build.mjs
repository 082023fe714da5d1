// `npm run build`: makes dist/ of the sources: protocol and client as modules with their types, the program and the keeper each in as few files as can
// be, and the page. It needs the packages of development, and leaves nothing of an earlier build.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const folder of ['protocol', 'client', 'cli', 'server', 'part', 'web-viewer']) {
  rmSync(join(root, 'dist', folder), { recursive: true, force: true });
}
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);
await bundle('cli/main');
// It shares no file with the others, so that it holds what it uses and nothing else.
await bundle('server/keeper/main');
await build({ configFile: join(root, 'web-viewer/vite.config.ts'), logLevel: 'warn' });

/**
 * One program with what it uses of packages. Of hundreds of modules, each looked for and read by itself, a gateway would start half a second
 * later, and who waits for it may have just lost the one before.
 */
async function bundle(entry) {
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    // node-pty has a binary beside it.
    ssr: { noExternal: true, external: ['@lydell/node-pty'] },
    build: {
      ssr: true,
      outDir: 'dist',
      emptyOutDir: false,
      target: 'node20',
      // It would start no faster, and a stack in the log would tell nothing.
      minify: false,
      rolldownOptions: {
        input: { [entry]: `${entry}.ts` },
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: 'part/[name].js',
          codeSplitting: { groups: [{ name: 'common', minShareCount: 2 }] },
        },
      },
    },
  });
}
