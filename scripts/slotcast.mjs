// `npm run -s slotcast -- COMMAND`: the command line from a clone. Installs no system packages: `doctor` names the ones that are missing.
import { runProgram } from './program.mjs';
import { main } from './say.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  setUp();
  await runProgram(process.argv.slice(2));
});
