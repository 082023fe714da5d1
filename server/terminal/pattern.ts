// Tests a regular expression that a caller gave, in a thread of its own: one that takes forever costs that call and nobody else.
// It never runs on the gateway's event loop.
import { Worker } from 'node:worker_threads';
import { Fault } from '../../protocol/fault.ts';

/** A screen has at most 100,000 characters: sensible patterns take well under a millisecond, a cold thread under load perhaps a second. */
const TEST_MS = 2000;

/** As text, because a thread can't load TypeScript everywhere that this file can be loaded. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const pattern = new RegExp(workerData, 'm');
parentPort.on('message', (text) => parentPort.postMessage(pattern.test(text)));
`;

export class Pattern {
  readonly #worker: Worker;

  /** Fault INVALID_PARAMS when it is no JavaScript regular expression. */
  constructor(source: string) {
    assertSyntax(source);
    this.#worker = new Worker(THREAD, {
      eval: true,
      workerData: source,
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.#worker.unref();
    this.#worker.on('error', () => undefined);
  }

  /** One call at a time. Fault INVALID_PARAMS when it takes too long; the pattern is of no more use then. */
  async test(text: string): Promise<boolean> {
    return await new Promise<boolean>((resolve, reject) => {
      const giveUp = (): void => {
        this.#worker.off('message', answer).off('exit', giveUp);
        this.close();
        reject(
          new Fault(
            'INVALID_PARAMS',
            `regex takes longer than ${TEST_MS} ms on this screen. Use one that backtracks less.`,
          ),
        );
      };
      const timer = setTimeout(giveUp, TEST_MS);
      const answer = (matched: boolean): void => {
        clearTimeout(timer);
        this.#worker.off('exit', giveUp);
        resolve(matched);
      };
      this.#worker.once('message', answer).once('exit', giveUp);
      this.#worker.postMessage(text);
    });
  }

  close(): void {
    void this.#worker.terminate();
  }
}

function assertSyntax(source: string): void {
  try {
    new RegExp(source, 'm');
  } catch (error) {
    throw new Fault('INVALID_PARAMS', `regex: ${error instanceof Error ? error.message : 'not a regular expression'}`);
  }
}
