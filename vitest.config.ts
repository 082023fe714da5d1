// How the tests run: every suite, each file in a process of its own, and an error when one leaves something behind.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    // A sandbox dies with the thread that started it, so tests start theirs from a main thread: processes, never workers.
    pool: 'forks',
    // Each file starts sandboxes, terminals and a gateway of its own; more at once only slow one another down.
    maxWorkers: 2,
    // A cold machine needs seconds for what takes milliseconds here.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    globalSetup: ['tests/support/leftover.ts'],
  },
});
