// Stops what runs in the shell's foreground: first as a person would, by keys, then by signals, and only at last with the shell itself.
// It never leaves a command running.
import type { RunEnd } from './run-watch.ts';
import type { Shell } from './shell.ts';

const QUIT = '\x1c';
/** Programs clean up on C-c: enough for an editor or a database client. */
const INTERRUPT_MS = 500;
/** What ignored C-c has had its time. */
const HARDER_MS = 250;
/** A killed job is gone at once. */
const SIGNAL_MS = 100;
/** A script may have several stubborn commands one after the other. */
const SIGNALS = ['TERM', 'KILL', 'KILL', 'KILL'] as const;

/** Resolves when the command is over: by itself, or because the shell is dead. */
export async function interrupt(shell: Shell, over: Promise<RunEnd>): Promise<void> {
  let done = false;
  void over.then(() => {
    done = true;
  });
  const step = async (act: () => void, timeoutMs: number): Promise<boolean> => {
    if (!done) act();
    return done || (await shell.until(() => done || shell.atPrompt, { timeoutMs }));
  };
  if (await step(() => shell.interrupt(), INTERRUPT_MS)) return;
  if (await step(() => shell.send(QUIT), HARDER_MS)) return;
  for (const name of SIGNALS) {
    if (await step(() => shell.signalForeground(name), SIGNAL_MS)) return;
    // The shell goes on with the next command of the script, which gets the interrupt.
    if (await step(() => shell.interrupt(), HARDER_MS)) return;
  }
  if (shell.foreground() === 'shell' && (await shell.repair())) return;
  await shell.kill();
}
