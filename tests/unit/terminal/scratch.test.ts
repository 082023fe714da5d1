import { test } from 'vitest';
import { openBench } from './fixture.ts';

test('scratch', async () => {
  const b = await openBench();
  for (const c of ['TIMEFORMAT=%R; cp /run/slotcast/1 /tmp/x; cp /run/slotcast/1.show /tmp/1.show; time for ((i=0;i<1000;i++)); do __slotcast_hook; done',
   'time for ((i=0;i<1000;i++)); do __slotcast_mark "X"; done',
   'PROMPT=$PS1; time for ((i=0;i<1000;i++)); do : "${PROMPT@P}"; done',
   'time for ((i=0;i<1000;i++)); do mapfile -t lines </tmp/1.show; done',
   'lines=("120 67 -" x); status=0; traced=; time for ((i=0;i<1000;i++)); do __slotcast_show 999; done',
   'time for ((i=0;i<1000;i++)); do { __slotcast&&:;} 2>/dev/null; done',
   'w="~ $ "; time for ((i=0;i<1000;i++)); do char=${w//[!ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹏＀-｠￠-￦🌀-🫿]/}; done',
   ]) { const r = await b.run(c); console.log(c.slice(0, 120), r.output.slice(-30)); }
  await b.close();
}, 60000);
