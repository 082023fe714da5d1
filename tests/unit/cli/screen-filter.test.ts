import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ScreenFilter } from '../../../cli/screen-filter.ts';

const filtered = (text: string, input = false): string => new ScreenFilter({ input }).filter(text);

test.each([
  ['device attributes', '\x1b[c\x1b[>c\x1b[=0c\x1bZ'],
  ['status and cursor reports', '\x1b[5n\x1b[6n\x1b[?6n'],
  ['mode reports', '\x1b[?2026$p\x1b[4$p'],
  ['version', '\x1b[>0q'],
  ['window reports and moves', '\x1b[14t\x1b[21t\x1b[3;0;0t'],
  ['keyboard protocol', '\x1b[?u\x1b[>1u\x1b[?4m'],
  ['checksum and settings', '\x1b[1;1;1;1;2;2*y\x1bP$qm\x1b\\\x1bP+q544e\x1b\\'],
  ['colours', '\x1b]10;?\x07\x1b]4;1;?\x1b\\'],
  ['clipboard', '\x1b]52;c;aGk=\x07'],
  ['titles', '\x1b]0;rm -rf\x07\x1b]2;x\x1b\\'],
  ['images and other strings', '\x1b_Gf=100;AAAA\x1b\\\x1bPq#0~\x1b\\\x1b^x\x1b\\\x1bXx\x1b\\'],
  ['ENQ and C1 controls', '\x05\x9b6n\x9d52;c;x\x9c'.replace('6n', '').replace('52;c;x', '')],
])('%s never reach the terminal of a person', (_what, text) => {
  expect(filtered(`a${text}b`, true)).toBe('ab');
});

test.each([
  'plain ä 漢字 😀\r\n\t\b\x07',
  '\x1b[1;31mred\x1b[0m\x1b[38:2::1:2:3m',
  '\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[3A\x1b[1;24r\x1b[2 q\x1b[!p',
  '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2026h',
  '\x1b7\x1b8\x1bM\x1b=\x1b>\x1b(B\x1b#8\x1bc',
  '\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x07',
])('what draws passes unchanged: %j', (text) => {
  expect(filtered(text)).toBe(text);
});

test('programs may ask for mouse and paste reports only where input goes to the slot', () => {
  const text = '\x1b[?1000;1006;25h\x1b[?2004h';
  expect(filtered(text, true)).toBe(text);
  expect(filtered(text, false)).toBe('\x1b[?25h');
});

test('where the pieces are cut makes no difference', () => {
  const parts = [
    'text',
    '\x1b[31m',
    '\x1b[6n',
    '\x1b]52;c;x\x07',
    '\x1bPq\x1b\\',
    '漢',
    '\x1b]8;;u\x1b\\',
    '\x1b',
    '\x1b[',
    '\x18',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts)), fc.array(fc.nat(200)), (chosen, cuts) => {
      const text = chosen.join('');
      const filter = new ScreenFilter({ input: false });
      const ends = [...cuts.map((cut) => cut % (text.length + 1)), text.length].sort((a, b) => a - b);
      let at = 0;
      let printed = '';
      for (const end of ends) {
        printed += filter.filter(text.slice(at, end));
        at = end;
      }
      expect(printed).toBe(filtered(text));
      expect(printed).not.toContain('\x1b[6n');
      expect(printed).not.toContain('\x1b]52');
    }),
  );
});

test('a sequence without an end takes no memory and ends with the next one', () => {
  const filter = new ScreenFilter({ input: false });
  expect(filter.filter(`\x1b]0;${'x'.repeat(1_000_000)}`)).toBe('');
  expect(filter.filter('\x07back')).toBe('back');
});
