// How the page is built: into dist/web-viewer, where the gateway finds it. Everything in files of their own, since the page's policy allows nothing inline.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // The page has addresses of its own below /slot/ and /cast/: parts are asked for from the root.
  base: '/',
  build: {
    outDir: fileURLToPath(new URL('../dist/web-viewer/', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
