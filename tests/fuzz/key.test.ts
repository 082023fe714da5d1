// Key notation: whatever string comes is bytes for a terminal, the same each time, and tmux makes the same of what both know.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dependsOnMode, keyBytes } from '../../protocol/key.ts';
import { asked, timeout } from './fuzz.ts';

const NORMAL = { applicationCursor: false };
const APPLICATION = { applicationCursor: true };

const name = fc.constantFrom(
  ...['Enter', 'Up', 'left', 'F1', 'f12', 'KP0', 'KPEnter', 'Space', 'Tab', 'BTab', 'PgUp', 'DC', 'BSpace', 'Escape'],
  ...[
    'a',
    'Z',
    '1',
    '-',
    '^',
    '@',
    '[',
    '?',
    ' ',
    'é',
    '😀',
    'ß',
    'ﬁ',
    '\0',
    '\x7f',
    '',
    'Entr',
    '__proto__',
    'constructor',
  ],
);
const modifiers = fc.array(fc.constantFrom('C-', 'M-', 'S-', 'c-', 'm-', 's-', '^', '-', 'X-'), { maxLength: 5 });
const notation = fc.oneof(
  fc.tuple(modifiers, name).map(([before, key]) => before.join('') + key),
  fc.string({ unit: 'binary' }),
  fc.string(),
);

test('any string is bytes: what is no key comes back as it is, what is one is short', { timeout }, () => {
  fc.assert(
    fc.property(notation, (key) => {
      for (const mode of [NORMAL, APPLICATION]) {
        const bytes = keyBytes(key, mode);
        // ESC, CSI 1;8 and a final letter, or a letter whose capital is several.
        if (bytes !== key) expect(bytes.length).toBeLessThanOrEqual(8);
        expect(keyBytes(key, mode)).toBe(bytes);
      }
      expect(dependsOnMode(key)).toBe(keyBytes(key, NORMAL) !== keyBytes(key, APPLICATION));
    }),
    asked(3000),
  );
});

test('a text of several characters without a modifier is typed as it is, unless it is the name of a key', {
  timeout,
}, () => {
  const typed = fc.string({ unit: 'grapheme', minLength: 14 });
  fc.assert(
    fc.property(typed, (text) => {
      fc.pre(!/^(?:\^|[cms]-)/i.test(text));
      expect(keyBytes(text, NORMAL)).toBe(text);
    }),
    asked(500),
  );
});

test('the order of modifiers does not matter', { timeout }, () => {
  const some = fc.uniqueArray(fc.constantFrom('C-', 'M-', 'S-'), { minLength: 2 });
  fc.assert(
    fc.property(some, name, (given, key) => {
      fc.pre(key !== '');
      const backwards = [...given].reverse().join('');
      const [one, other] = [given.join('') + key, backwards + key];
      const bytes = keyBytes(one, NORMAL);
      if (bytes === one) expect(keyBytes(other, NORMAL)).toBe(other);
      else expect(keyBytes(other, NORMAL)).toBe(bytes);
    }),
    asked(300),
  );
});

test.skipIf(!existsSync('/usr/bin/tmux'))('tmux sends the same for the keys that both have', { timeout }, () => {
  // Home and End it sends as a terminal of its own kind, TERM=tmux, has them.
  const keys = [
    ...['Enter', 'Escape', 'Space', 'Tab', 'BTab', 'BSpace', 'Up', 'Down', 'Left', 'Right', 'IC', 'DC'],
    ...[
      'PPage',
      'NPage',
      'F1',
      'F2',
      'F4',
      'F5',
      'F9',
      'F12',
      'C-a',
      'C-z',
      'M-x',
      'M-X',
      'C-M-x',
      'S-Up',
      'C-Left',
      'M-Right',
    ],
    ...['C-S-Down', 'S-F5', 'C-F1', 'M-Enter', 'C-@', 'C-]', 'C-_', 'é', '漢', 'plain text', 'M-é'],
  ];
  expect(tmuxBytes(keys)).toEqual(keys.map((key) => keyBytes(key, NORMAL)));
});

/** What tmux types into a program that reads raw bytes, each key followed by a mark. */
function tmuxBytes(keys: readonly string[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'slotcast-tmux-'));
  const [file, ready] = [join(directory, 'typed'), join(directory, 'ready')];
  const tmux = (...args: string[]): void => {
    execFileSync('tmux', ['-f', '/dev/null', '-S', join(directory, 's'), ...args], {
      env: { PATH: '/usr/bin:/bin', TERM: 'xterm-256color', LANG: 'C.UTF-8', HOME: directory },
      stdio: 'ignore',
    });
  };
  const mark = '|END|';
  const waitFor = (file: string, what: (text: string) => boolean): string => {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
      if (what(text)) return text;
      if (performance.now() > deadline) throw new Error(`not within 10 s: ${JSON.stringify(text)}`);
      execFileSync('/bin/sleep', ['0.02']);
    }
  };
  try {
    tmux('-u', 'new-session', '-d', '-x', '80', '-y', '24', `stty raw -echo; echo 1 > ${ready}; exec cat -u > ${file}`);
    waitFor(ready, (text) => text !== '');
    for (const key of keys) {
      tmux('send-keys', key);
      tmux('send-keys', '-l', mark);
    }
    const typed = waitFor(file, (text) => text.split(mark).length > keys.length);
    return typed.split(mark).slice(0, -1);
  } finally {
    tmux('kill-server');
    rmSync(directory, { recursive: true, force: true });
  }
}
