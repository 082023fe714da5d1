// Through the terminal: what a program prints, against the gateway, the shell and everybody who looks.
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { ASK } from './ask.ts';
import { attack } from './attack.ts';
import { targets } from './gateway.ts';
import { liveProtocols, openLive } from './live-viewer.ts';

const of = targets();

async function ask(slot: Slot, queries: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const list = Object.entries(queries).map(([name, query]) => [
    ...[name, Buffer.from(query).toString('base64')],
    Object.hasOwn(STRANGE, name),
  ]);
  await slot.file.write({ path: 'ask.py', data: ASK });
  await slot.file.write({ path: 'ask.json', data: JSON.stringify(list) });
  const { output, exitCode } = await slot.terminal.run({ command: 'python3 ask.py' });
  expect(exitCode, output).toBe(0);
  const answers = JSON.parse(output.slice(output.lastIndexOf('{'))) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [name, Buffer.from(answer, 'base64').toString()]),
  );
}

const ST = '\x1b\\';
const ANSWERED = {
  DA1: ['\x1b[c', '\x1b[?1;2c'],
  DA2: ['\x1b[>c', '\x1b[>0;276;0c'],
  CPR: ['\x1b[7;3H\x1b[6n', '\x1b[7;3R'],
  XTVERSION: ['\x1b[>q', `\x1bP>|slotcast${ST}`],
  size: ['\x1b[18t', '\x1b[8;40;120t'],
  DECRQM: ['\x1b[?7$p', '\x1b[?7;1$y'],
  'DECRQSS of the colours': [`\x1bP$qm${ST}`, `\x1bP1$r0m${ST}`],
  'OSC 10': ['\x1b]10;?\x07', `\x1b]10;rgb:cccc/cccc/cccc${ST}`],
  'OSC 11': ['\x1b]11;?\x07', `\x1b]11;rgb:1212/1313/1414${ST}`],
  'OSC 12': ['\x1b]12;?\x07', `\x1b]12;rgb:cccc/cccc/cccc${ST}`],
  'DECRQSS that says something': [`\x1bP$qtouch owned\r${ST}`, `\x1bP0$r${ST}`],
} as const;
const UNANSWERED = {
  DA3: '\x1b[=c',
  'title report': '\x1b]2;touch owned\x07\x1b[21t',
  'icon report': '\x1b]1;touch owned\x07\x1b[20t',
  'window reports': '\x1b[11t\x1b[13t\x1b[14t\x1b[16t\x1b[19t',
  XTGETTCAP: `\x1bP+q544e${ST}`,
  ENQ: '\x05',
  DECID: '\x1bZ',
  'OSC 4': '\x1b]4;1;?\x07',
  'OSC 52': '\x1b]52;c;?\x07',
  'OSC 52 of many': '\x1b]52;pc0;?\x1b\\',
  kitty: '\x1b[?u',
  checksum: '\x1b[1;1;1;1;5;5*y',
} as const;
/** Forms that no program uses and an emulator may understand: were they answered, then only when somebody happens to look. */
const STRANGE = {
  'DA1 in 8 bits': '\u009bc',
  'DSR in 8 bits': '\u009b6n',
  'OSC 10 in 8 bits': '\u009d10;?\u009c',
  'DECRQSS in 8 bits': '\u0090$qm\u009c',
  'DA1 with a line feed in it': '\x1b[\nc',
  'OSC 10 with a NUL in it': '\x1b]1\x000;?\x07',
  'size with a zero before it': '\x1b[018t',
} as const;

describe('F', () => {
  attack('F01', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const queries = {
      ...Object.fromEntries(Object.entries(ANSWERED).map(([name, [query]]) => [name, query])),
      ...UNANSWERED,
      ...STRANGE,
    };
    const expected = {
      ...Object.fromEntries(Object.entries(ANSWERED).map(([name, [, answer]]) => [name, answer])),
      ...Object.fromEntries(Object.keys({ ...UNANSWERED, ...STRANGE }).map((name) => [name, ''])),
      late: '',
    };
    expect(await ask(slot, queries), 'nobody watches').toEqual(expected);
    const viewers = [await openLive(target, slot.name, 'v1.alis')];
    expect(await ask(slot, queries), 'one watches').toEqual(expected);
    for (const protocol of liveProtocols) viewers.push(await openLive(target, slot.name, protocol));
    const watch = await (await target.client()).watch({ slot: slot.name });
    expect((await slot.info()).viewers).toBe(5);
    expect(await ask(slot, queries), 'five watch').toEqual(expected);
    expect(Object.values(expected).join('')).not.toMatch(/touch|owned|[\r\n]/);
    await watch.close();
    for (const viewer of viewers) await viewer.close();
    await slot.release();
  });

  attack('F01', async (as) => {
    const slot = await (await of(as)).slot();
    // Nobody reads the answers: they come to the shell's command line, or nowhere.
    const queries = [...Object.values(ANSWERED).map(([query]) => query), ...Object.values(UNANSWERED)];
    await slot.file.write({ path: 'hostile', data: queries.join('') });
    for (const command of ['cat hostile', 'yes "$(printf \'\\033[c\')" | head -n 20000']) {
      await slot.terminal.run({ command });
      const { output, exitCode } = await slot.terminal.run({ command: 'echo "as it is: $?"; ls owned; (exit 7)' });
      expect(output).toBe("as it is: 0\nls: cannot access 'owned': No such file or directory\n");
      expect(exitCode).toBe(7);
    }
    const { text } = await slot.terminal.capture({ history: 1000 });
    expect(text).not.toMatch(/command not found/);
    await slot.release();
  });
});
