// Through the terminal: what a program prints, against the gateway, the shell and everybody who looks.
import { describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import { Fault } from '../../protocol/fault.ts';
import { until } from '../support/gateway.ts';
import { ASK } from './ask.ts';
import { attack, attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { CANARY, TOKEN, targets } from './gateway.ts';
import { liveProtocols, openLive } from './live-viewer.ts';

const of = targets();
/** For what is the same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';
const MB = 1024 * 1024;

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

/** What a mark of the slot's shell ends with: anything that runs in the terminal can find it out. */
async function nonceOf(slot: Slot): Promise<string> {
  const { output } = await slot.terminal.run({ command: `printf '%s' "$PS1" | grep -o 'k=[0-9a-f]*' | head -n 1` });
  expect(output).toMatch(/^k=[0-9a-f]{16}\n$/);
  return output.trim();
}

describe('F: what the shell says of itself', () => {
  attack('F06', async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    const guessed = `printf '\\e]133;D;0\\a\\e]133;D;0;k=${'0'.repeat(16)}\\a\\e]133;A\\a\\e]133;B\\a'; false`;
    expect(await slot.terminal.run({ command: guessed })).toMatchObject({ outcome: 'exited', exitCode: 1 });
    const key = await nonceOf(slot);
    // From a command beside the terminal: nothing that it can read tells the nonce, and no terminal is there to be written to.
    const hunt = await slot.exec.run({
      command: `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /run/slotcast/* ~/.bash_history /tmp/* 2>/dev/null | tr '\\0' '\\n' | grep -c 'k=[0-9a-f]\\{16\\}'
        ls -A /run /dev/pts
        for tty in /dev/tty /dev/pts/[0-9]* /proc/[0-9]*/fd/*; do [ -c "$tty" ] && [ "$(readlink -f "$tty")" != /dev/null ] && printf 'forged' >"$tty" && echo "wrote to $tty"; done`,
    });
    expect(hunt.stdout).toBe('0\n/dev/pts:\nptmx\n\n/run:\n');
    expect(hunt.stderr).toMatch(/\/dev\/tty: No such device or address/);
    expect((await slot.terminal.capture()).text).not.toContain('forged');
    // Of another slot's shell neither the nonce nor the terminal is there.
    expect(await nonceOf(other)).not.toBe(key);
    const replayed = await other.terminal.run({
      command: `printf '\\e]133;D;0;cwd=/;${key}\\a'; sleep 0.1; echo real; (exit 4)`,
    });
    expect(replayed).toMatchObject({ exitCode: 4, cwd: '/workspace' });
    expect(replayed.output).toContain('real\n');
    await Promise.all([slot.release(), other.release()]);
  });

  attack('F07', async (as) => {
    const target = await of(as);
    const [slot, other] = [await target.slot(), await target.slot()];
    const key = await nonceOf(slot);
    const end = `\\033]133;D;0;cwd=/;${key}\\007`;
    const prompt = `\\033]133;A;s=0;${key}\\007$ \\033]133;B;${key}\\007`;
    const run = async (command: string) => await slot.terminal.run({ command, timeoutMs: 5000 });
    // By the program itself, while it has the terminal: an end, a whole prompt, and the beginning of another command.
    for (const forged of [end, `${end}${prompt}`, `${end}${prompt}\\033]133;C;r=2;${key}\\007${end}`]) {
      const result = await run(`sh -c 'printf "${forged}"; sleep 0.3; echo real; exit 5'`);
      expect(result).toMatchObject({ outcome: 'exited', exitCode: 5, cwd: '/workspace' });
      expect(result.output.replace('$ ', '')).toBe('real\n');
    }
    // By what an earlier command left in the background.
    await run(`(sleep 0.4; printf '${end}${prompt}' >/dev/tty) & :`);
    expect(await run(`sh -c 'sleep 0.8; echo mine; exit 6'`)).toMatchObject({ exitCode: 6, cwd: '/workspace' });
    // By the shell itself: that run is the liar's own, and ends when it says so. The next one is not touched, nor is anything else.
    for (const rest of ['sleep 0.7', 'for ((i = 0; i < 150000; i++)); do :; done']) {
      expect(await run(`printf '${end}${prompt}'; ${rest}; echo late`)).toMatchObject({ exitCode: 0 });
      const [exec, elsewhere] = await Promise.all([
        slot.exec.run({ command: 'echo exec; exit 3' }),
        other.terminal.run({ command: 'echo other; (exit 2)' }),
      ]);
      expect(exec).toMatchObject({ exitCode: 3, stdout: 'exec\n' });
      expect(elsewhere).toMatchObject({ exitCode: 2, output: 'other\n' });
      await until('the terminal is free', async () => {
        const next = await run('echo mine; (exit 9)').catch((error: unknown) => error);
        if (next instanceof Fault) expect(next.fault).toBe('TERMINAL_BUSY');
        else expect(next).toMatchObject({ exitCode: 9, output: 'mine\n', cwd: '/workspace' });
        return !(next instanceof Fault);
      });
    }
    await Promise.all([slot.release(), other.release()]);
  });

  attack('F21', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    // In two halves each, so that the search doesn't find itself.
    const halves = [TOKEN, CANARY].map((secret) => [secret.slice(0, 12), secret.slice(12)]);
    const search = `
      pattern() { ${halves.map(([a, b]) => `printf '%s%s\\n' '${a}' '${b}'`).join('; ')}; }
      pattern | tail -n 1 >/tmp/planted
      grep -rlasF -f <(pattern) --exclude-dir=sys --exclude-dir=[0-9]* /run /tmp /workspace /etc /dev/shm /var
      cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mounts /proc/[0-9]*/maps <(env; declare -p) 2>/dev/null | grep -acF -f <(pattern)
      rm /tmp/planted`;
    const { stdout } = await slot.exec.run({ command: search });
    expect(stdout).toBe('/tmp/planted\n0\n');
    expect((await slot.terminal.run({ command: search })).output).toBe('/tmp/planted\n0\n');
    await slot.release();
  });
});

describe('F: who looks', () => {
  /** Ways to write the sequence that sets or asks for the clipboard; each with a word that must not be seen either. */
  const CLIPBOARD = [
    '\\033]52;c;c3RvbGVu\\007',
    '\\033]52;c;c3RvbGVu\\033\\\\',
    '\\033]052;p;c3RvbGVu\\007',
    '\\033]5\\0002;c;c3RvbGVu\\007',
    '\\302\\23552;c;c3RvbGVu\\302\\234',
    '\\033\\001]52;c;c3RvbGVu\\007',
    `\\033]${'0'.repeat(300)}52;c;c3RvbGVu\\007`,
  ];

  attack('F02', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const viewers = await Promise.all(liveProtocols.map((protocol) => openLive(target, slot.name, protocol)));
    const watch = await slot.watch();
    let watched = '';
    const watching = (async () => {
      for await (const event of watch) {
        watched += event.kind === 'frames' ? event.frames.map(([, , data]) => data).join('') : '';
        if (watched.includes('the end')) return;
      }
    })();
    await slot.file.write({
      path: 'hostile.sh',
      data: [
        ...CLIPBOARD.map((sequence) => `printf '${sequence}'`),
        // Cut in two.
        "printf '\\033]5'; sleep 0.05; printf '2;c;c3Rv'; sleep 0.05; printf 'bGVu\\007'",
        "printf 'the %s\\n' end",
      ].join('\n'),
    });
    await slot.terminal.run({ command: 'sh hostile.sh' });
    await watching;
    for (const viewer of viewers) await until(viewer.protocol, () => viewer.text.includes('the end'));
    const late = await Promise.all(liveProtocols.map((protocol) => openLive(target, slot.name, protocol)));
    for (const viewer of [...viewers, ...late]) {
      await until(viewer.protocol, () => viewer.text.includes('the end'));
      expect(viewer.text, viewer.protocol).not.toMatch(/c3RvbGVu|c3Rv|bGVu/);
    }
    expect(watched).not.toMatch(/c3RvbGVu|c3Rv|bGVu/);
    for (const viewer of [...viewers, ...late]) await viewer.close();
    await slot.release();
  });

  attack('F03', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const viewers = await Promise.all(liveProtocols.map((protocol) => openLive(target, slot.name, protocol)));
    const forms = ['\x1b]52;c;?\x07', '\x1b]52;;?\x1b\\', '\x1b]52;pc0s;?\x07', '\u009d52;c;?\u009c'];
    const asked = Object.fromEntries(forms.map((form, number) => [`form ${number}`, form]));
    const nothing = Object.fromEntries(Object.keys(asked).map((name) => [name, '']));
    expect(await ask(slot, asked)).toEqual({ ...nothing, late: '' });
    for (const viewer of viewers) {
      expect(viewer.text).not.toMatch(/52;[a-z0-9]*;\?/);
      await viewer.close();
    }
    await slot.release();
  });

  attack('F04', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const title = ';touch owned;\u202e#(touch owned)$(touch owned)`touch owned`<img src=x>';
    await slot.file.write({ path: 'title', data: `\x1b]2;${title}\x07\x1b[21t\x1b[20t\x1b[>0T\x1b[22;0t\x1b[23;0t` });
    await slot.terminal.run({ command: 'cat title; sleep 0.3' });
    const { output } = await slot.terminal.run({ command: 'ls' });
    expect(output).toBe('title\n');
    const shown = title.replace('\u202e', '');
    expect((await slot.terminal.capture()).title).toBe(shown);
    expect((await slot.info()).terminal?.title).toBe(shown);
    await slot.release();
  });

  attack('F05', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    const links = ['javascript:alert(1)', 'file:///etc/passwd', 'data:text/html,x', 'https://evil.example/'];
    const command = links.map((link) => `printf '\\033]8;;${link}\\033\\\\https://good.example\\033]8;;\\033\\\\\\n'`);
    await slot.terminal.run({ command: command.join('\n') });
    // Who comes now is given the screen, which has the text alone. Who was there is a player that draws no links: see the page below.
    const viewer = await openLive(target, slot.name, 'v1.alis');
    expect(viewer.text).toContain('https://good.example');
    expect(viewer.text).not.toContain('\x1b]8;');
    const { text } = await slot.terminal.capture({ format: 'ansi' });
    expect(text).not.toContain('\x1b]8;');
    await viewer.close();
    await slot.release();
  });
});

describe('F: sizes and floods', () => {
  attack('F12', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const viewers = await Promise.all(liveProtocols.map((protocol) => openLive(target, slot.name, protocol)));
    const sizes: readonly [cols: unknown, rows: unknown, clamped: string | null][] = [
      [0, 0, '20x5'],
      [-5, -5, '20x5'],
      [1, 1, '20x5'],
      [1e9, 1e9, '500x200'],
      [Number.MAX_VALUE, -Number.MAX_VALUE, '500x5'],
      [10_000, 10_000, '500x200'],
      [80.9, 24.9, '80x24'],
      [Number.NaN, 24, null],
      [Number.POSITIVE_INFINITY, 24, null],
      ['80', '24', null],
      [[80], { 24: 24 }, null],
      [80, undefined, null],
    ];
    for (const [cols, rows, clamped] of sizes) {
      const outcome = await slot.terminal.resize({ cols, rows } as never).then(
        (size) => `${size.cols}x${size.rows}`,
        (error: unknown) => (error instanceof Fault && error.fault === 'INVALID_PARAMS' ? null : error),
      );
      expect(outcome, `${String(cols)}x${String(rows)}`).toBe(clamped);
    }
    // The program asks for a size itself: a person's terminal may obey, this one is the agent's to resize.
    await slot.terminal.run({
      command: "printf '\\033[8;1000;1000t\\033[?40h\\033[?3h\\033[4;9999;9999t'; printf 'the %s\\n' end",
    });
    expect((await slot.terminal.run({ command: 'stty size </dev/tty' })).output).toBe('24 80\n');
    expect(await slot.terminal.capture()).toMatchObject({ cols: 80, rows: 24 });
    for (const viewer of viewers) {
      await until(viewer.protocol, () => viewer.text.includes('the end'));
      expect(viewer.sizes).toEqual(['120x40', '20x5', '500x200', '500x5', '500x200', '80x24']);
      await viewer.close();
    }
    await slot.release();
  });

  attack('F12', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const viewer = await openLive(target, slot.name, 'v1.alis');
    await slot.terminal.run({ command: 'seq 2000' });
    const before = target.memory();
    // Each of them makes an emulator lay its screen and history out anew.
    for (let round = 0; round < 20; round++) {
      const flood = Array.from({ length: 50 }, (_, index) =>
        slot.terminal.resize(index % 2 ? { cols: 20, rows: 5 } : { cols: 500, rows: 200 }),
      );
      await Promise.all(flood);
    }
    const started = performance.now();
    expect((await slot.exec.run({ command: 'echo alive' })).stdout).toBe('alive\n');
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await slot.terminal.capture()).toMatchObject({ cols: 20, rows: 5 });
    expect(target.memory() - before).toBeLessThan(200 * MB);
    expect(viewer.isOpen).toBe(true);
    await viewer.close();
    await slot.release();
  });

  /** What costs an emulator or a viewer far more than it costs to print; each is printed on a screen of 500x200. */
  const BOMBS: Readonly<Record<string, string>> = {
    'a style for each cell': `perl -e 'for my $r (1..200) { print "\\e[$r;1H"; for my $c (1..500) { printf "\\e[%d;38;2;%d;%d;%d;48;2;%d;%d;%d;58;2;1;2;%dm%s", 1 + ($c % 9), $r, $c % 256, 7, $c % 256, $r, 9, $c % 256, "x" } }'`,
    'marks on each cell': `perl -CS -e 'for my $r (1..30) { print "\\e[$r;1H"; for my $c (1..400) { print "e", "\\x{301}" x 30 } }'`,
    'emoji joined without end': `perl -CS -e 'print "\\x{1f468}\\x{200d}" x 40000'`,
    'a link for each cell': `perl -e 'for my $i (1..8000) { print "\\e]8;id=$i;https://example.org/", "p" x 20, "$i\\ax\\e]8;;\\a" }'`,
    repetitions: `perl -e 'print "\\e[1;1Hx\\e[2147483647b" x 1200'`,
    'lines in and out of regions': `perl -e 'print "\\e[2;199r"; print "\\e[2;1H\\e[2147483647L\\e[2147483647M\\e[99999S\\e[99999T" x 1200'`,
    'characters in and out': `perl -e 'print "\\e[5;1H\\e[2147483647@\\e[2147483647P\\e[2147483647X\\e[2147483647Z" x 2000'`,
    'numbers without end': `perl -e 'print "\\e[", "1;" x 80000, "m"'`,
    'an OSC that never ends': `perl -e 'print "\\e]0;", "t" x 4000000'; printf '\\030'`,
    'a DCS that never ends': `perl -e 'print "\\eP+q", "41" x 800000'; printf '\\030'`,
    'an APC that never ends': `perl -e 'print "\\e_G", "a" x 4000000'; printf '\\030'`,
    'a picture': `perl -e 'print "\\ePq\\"1;1;99999;99999#0;2;99;0;0", "#0!99999~-" x 8000, "\\e\\\\"'`,
    'saved and swapped screens': `perl -e 'print "\\e7\\e[?1049h\\e[?1048h\\e[2J\\e[?1049l\\e8" x 8000'`,
    'titles pushed': `perl -e 'print "\\e]2;", "t" x 400, "\\a\\e[22;0t" x 8000'`,
    resets: `perl -e 'print "\\ec\\e[!p\\e[?3h\\e[?3l\\e#8" x 2000'`,
  };

  attackOnce(
    'F22',
    async () => {
      const target = await of(me);
      const [slot, other] = [await target.slot(), await target.slot()];
      await slot.terminal.start({ cols: 500, rows: 200 });
      const viewer = await openLive(target, slot.name, 'v1.alis');
      const before = target.memory();
      const slowest = { name: '', ms: 0 };
      for (const [name, command] of Object.entries(BOMBS)) {
        let isOver = false;
        const bomb = slot.terminal.run({ command, maxOutputBytes: 1000, timeoutMs: 60_000 }).finally(() => {
          isOver = true;
        });
        while (!isOver) {
          const started = performance.now();
          expect((await other.exec.run({ command: 'echo alive' })).stdout).toBe('alive\n');
          const ms = performance.now() - started;
          if (ms > slowest.ms) Object.assign(slowest, { name, ms });
        }
        expect(await bomb, name).toMatchObject({ outcome: 'exited' });
        expect((await slot.terminal.run({ command: "printf '\\033c'; echo after" })).output, name).toContain('after\n');
        // The screen is drawn as it is now, and as a late viewer gets it.
        const late = await openLive(target, slot.name, 'v3.asciicast');
        expect(late.bytes, name).toBeLessThan(16 * MB);
        await late.close();
      }
      // Not a matter of speed: without bounds one of these stops everybody for half a minute, or takes all of the memory.
      expect(slowest.ms, slowest.name).toBeLessThan(10_000);
      expect(target.memory() - before).toBeLessThan(300 * MB);
      expect(viewer.isOpen).toBe(true);
      await viewer.close();
      await Promise.all([slot.release(), other.release()]);
    },
    120_000,
  );
});
