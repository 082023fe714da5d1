// What a slot leaves behind for whoever empties it: trees that can't be entered, named or counted, and programs that go on making more.
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { attack } from './attack.ts';
import { type Target, targets } from './gateway.ts';
import { makeOutside, workspaceOf } from './outside.ts';

const of = targets();

/** Whoever reset or released waits for it, so it has to be quick; a busy machine gets its share. */
const PATIENCE_MS = 45_000;

/** In both directories that a slot can write to. */
const hostileTree = (outside: string): string => `
for place in /workspace /tmp; do cd $place; umask 0
perl -e '$n = "n" x 250; for (1..100) { mkdir $n or die; chdir $n or die }'
perl -e 'for (1..1000) { mkdir "d"; chdir "d" } open F, ">leaf"'
mkdir closed; perl -e 'for (1..500) { mkdir "closed/$_"; mkdir "closed/$_/in"; chmod 0, "closed/$_/in", "closed/$_" }'
mkfifo pipe; perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0)&&bind(S,pack_sockaddr_un("sock"))||die$!'
ln pipe hard; truncate -s 1G sparse; ln -s ${outside} out; ln -s ${outside}/secret.txt out.txt; ln -s . loop
echo 1 >./-rf; echo 1 >$'\\xff\\xfe'; mkdir $'\\xc0\\n\\e[2J'; echo 1 >"$(printf '%0255d' 1)"; mkdir './--no-preserve-root' './ '
mkdir -p set/uid; chmod 7555 set/uid set; chmod 0 closed .
done; echo made`;

const inside = async (slot: Slot): Promise<string> => {
  const { stdout, stderr } = await slot.exec.run({
    command: 'ls -A /workspace /tmp; echo works >/workspace/x; cat x; rm x',
  });
  return stdout + stderr;
};
const EMPTY = '/tmp:\n\n/workspace:\nworks\n';

/** Old trees that the gateway has put aside. */
const leftovers = (gateway: Target, slot: string): string[] =>
  readdirSync(dirname(workspaceOf(gateway, slot))).filter((name) => name.includes('.old-'));

describe('B', () => {
  attack(
    'B27',
    async (as) => {
      const gateway = await of(as);
      const outside = makeOutside(gateway, 'outside-27');
      let slot = await gateway.slot();
      const { name } = slot;
      const attempt = async (empty: () => Promise<void>): Promise<void> => {
        expect(await slot.exec.run({ command: hostileTree(outside.dir) })).toMatchObject({
          stdout: 'made\n',
          stderr: '',
        });
        const started = performance.now();
        await empty();
        expect(performance.now() - started).toBeLessThan(PATIENCE_MS);
        expect(leftovers(gateway, name)).toEqual([]);
        expect(await inside(slot)).toBe(EMPTY);
        outside.untouched();
      };
      await attempt(() => slot.reset());
      await attempt(async () => {
        await slot.release();
        slot = await gateway.slot({ slot: name });
      });
      await slot.release();
    },
    150_000,
  );

  attack(
    'B28',
    async (as) => {
      const gateway = await of(as);
      await using slot = await gateway.slot();
      // Deaf to signals, in sessions of their own, standing in what will be taken away: of a command, and of the terminal.
      const maker = (dir: string): string =>
        `mkdir -p ${dir}/in; cd ${dir}/in; setsid -w perl -e '$SIG{$_} = "IGNORE" for qw(TERM HUP INT QUIT); $| = 1; print "on\\n";
          for (my $n = 0; ; $n++) { open F, ">", "f$n"; mkdir "d$n"; chmod 0, "d$n"; mkdir "${dir}/again$n"; rename "f$n", "${dir}/g$n"; select undef, undef, undef, 0.001 if $n > 2000 }'`;
      const command = await slot.exec.start({ command: maker('/workspace/one') });
      await command[Symbol.asyncIterator]().next();
      await slot.terminal.run({
        command: `(${maker('/tmp/two').replaceAll('\n', ' ')} >/dev/null 2>&1 &) ; cd /workspace`,
      });
      const grown = async () => (await slot.exec.run({ command: 'ls /tmp/two/in /workspace/one/in | wc -l' })).stdout;
      await expect.poll(async () => Number(await grown()), { timeout: 20_000 }).toBeGreaterThan(1500);
      const started = performance.now();
      await slot.reset();
      expect(performance.now() - started).toBeLessThan(PATIENCE_MS);
      expect(await inside(slot)).toBe(EMPTY);
      expect(leftovers(gateway, slot.name)).toEqual([]);
      expect((await command.exit).outcome).not.toBe('exited');
      // Still so later on: nobody is left who could make any.
      await slot.terminal.run({ command: 'true' });
      expect(await inside(slot)).toBe(EMPTY);
    },
    150_000,
  );
});
