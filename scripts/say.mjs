// How the set-up scripts speak: one line for each thing done, on stderr, and one error that ends them. Never a stack.

/** What the user has to do before the set-up can go on. */
export class SetupError extends Error {}

export function say(line) {
  process.stderr.write(`slotcast: ${line}\n`);
}

/** Runs the work of a script; a SetupError becomes its message and exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exit(1);
  }
}
