// `npm start -- FLAGS`: sets the clone up where it is not, then is `slotcast serve FLAGS`.
import { runProgram } from './program.mjs';
import { main } from './say.mjs';
import { setUp } from './setup.mjs';
import { forSlots } from './system.mjs';

await main(async () => {
  const flags = process.argv.slice(2);
  setUp(isUnsandboxed(flags) ? {} : forSlots);
  await runProgram(['serve', ...flags]);
});

/** Without sandboxes nothing has to be installed for them. */
function isUnsandboxed(flags) {
  const asFlag = flags.some(
    (flag, index) => flag === '--sandbox=none' || (flag === 'none' && flags[index - 1] === '--sandbox'),
  );
  return asFlag || process.env['SLOTCAST_SANDBOX'] === 'none';
}
