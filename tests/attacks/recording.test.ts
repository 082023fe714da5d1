// Against recordings and those who look at them: what a command prints, names or deletes.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import xterm from '@xterm/headless';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Slot } from '../../client/index.ts';
import type { Frame } from '../../protocol/frame.ts';
import { until } from '../support/gateway.ts';
import { openBrowser, screenRows, type TestBrowser } from '../support/page.ts';
import { attack, attackOnce } from './attack.ts';
import type { User } from './catalogue.ts';
import { target as startTarget, type Target, TOKEN, targets } from './gateway.ts';
import { openLive } from './live-viewer.ts';

const of = targets();
/** For what is the same whoever runs the gateway. */
const me: User = process.getuid?.() === 0 ? 'root' : 'user';
const MB = 1024 * 1024;

const castFile = ({ dataDir }: Target, cast: string): string => join(dataDir, 'casts', `${cast}.cast`);

/** The lines of a recording that is sealed; each has to be JSON or a comment. */
function linesOf(target: Target, cast: string): { readonly header: Record<string, unknown>; readonly events: Frame[] } {
  const lines = readFileSync(castFile(target, cast), 'utf8').trimEnd().split('\n');
  const [header, ...events] = lines.filter((line) => !line.startsWith('#')).map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatch(/^# slotcast end /);
  return { header, events };
}

const printed = (events: readonly Frame[]): string =>
  events
    .filter(([, code]) => code === 'o')
    .map(([, , data]) => data)
    .join('');

/** Everything that is printed until a frame has these words. */
async function watchFor(slot: Slot, words: string): Promise<{ readonly seen: Promise<string> }> {
  const watch = await slot.watch();
  const seen = (async () => {
    let text = '';
    for await (const event of watch) {
      if (event.kind === 'frames') text += event.frames.map(([, , data]) => data).join('');
      else if (event.kind !== 'end') text += event.screen;
      if (text.includes(words)) break;
    }
    return text;
  })();
  return { seen };
}

describe('F', () => {
  attack('F09', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.run({ command: 'echo first' });
    await slot.exec.run({
      command: `printf '{"version":3}\\n' >.asciinema.cast; mkdir casts; ln -s ../../../casts "$HOME/out"; ln -s ${castFile(target, slot.cast)} mine.cast
        echo forged >>mine.cast; rm -f ${castFile(target, slot.cast)} ../../casts/* out/*; rm -rf .asciinema.cast casts`,
    });
    await slot.terminal.run({
      command: `ls -la ${target.dataDir} /workspace/..; find / -name '*.cast' -type f 2>/dev/null; echo last`,
    });
    await slot.release();
    const file = castFile(target, slot.cast);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = printed(linesOf(target, slot.cast).events);
    expect(text).toMatch(/first[\s\S]*No such file or directory[\s\S]*last/);
    expect(text).not.toContain('forged');
  });

  attack('F11', async (as) => {
    const target = await of(as);
    const client = await target.client();
    for (const label of ['two\nlines', 'nul\0', 'esc\x1b]2;x\x07', 'turned \u202e round', '\u0085']) {
      await expect(client.acquire({ label })).rejects.toMatchObject({ fault: 'INVALID_PARAMS' });
    }
    const label = '"}\\n</script><script>document.title=1</script>\u2028[0,"o","x"]';
    const slot = await client.acquire({ label });
    await slot.terminal.start({ env: { INJECTED: 'a\n[0.1, "o", "forged"]\n' } });
    await slot.terminal.run({
      command: 'printf \'\\033]2;</script>\\n[0, "o", "forged"]\\n\\007\'; true \'\n[0, "o", "forged"]\'',
    });
    await slot.exec.run({ command: 'true "\n# slotcast end {}\n"' });
    await slot.release();
    const { header, events } = linesOf(target, slot.cast);
    expect(header).toMatchObject({ title: label, slotcast: { label } });
    expect(JSON.stringify(header)).not.toContain('INJECTED');
    for (const event of events)
      expect(event).toEqual([expect.any(Number), expect.stringMatching(/^[oirmx]$/), expect.any(String)]);
    expect(events.filter(([, , data]) => data === 'forged')).toEqual([]);
    expect((await client.cast.info(slot.cast)).label).toBe(label);
  });

  attack('F14', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const { seen } = await watchFor(slot, 'the end');
    await slot.terminal.run({
      command:
        "printf 'a\\xff\\xfeb'; printf '\\xe6'; sleep 0.05; printf '\\xbc\\xa2\\n'; printf '\\xed\\xa0\\x80\\xf0\\x9f'; printf 'the %s\\n' end",
    });
    expect(await seen).toMatch(/a\ufffd\ufffdb漢\r\n\ufffd+the end/);
    await slot.release();
    const bytes = readFileSync(castFile(target, slot.cast));
    expect(bytes.equals(Buffer.from(bytes.toString('utf8')))).toBe(true);
    const { events } = linesOf(target, slot.cast);
    expect(printed(events)).toContain('a\ufffd\ufffdb漢\r\n');
    expect(events.every(([time]) => time >= 0)).toBe(true);
  });

  attack('F15', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start();
    const viewer = await openLive(target, slot.name, 'v1.alis');
    await slot.terminal.run({ command: 'cat /bin/bash; head -c 2000000 /dev/urandom', timeoutMs: 20_000 });
    expect(viewer.isOpen).toBe(true);
    // As a person would.
    await slot.terminal.run({ command: 'reset -I >/dev/tty 2>&1; stty sane; printf "\\033c"' });
    expect((await slot.terminal.run({ command: 'echo back; (exit 3)' })).exitCode).toBe(3);
    expect((await slot.terminal.capture()).text).toMatch(/back\n~ [$#] ?$/);
    await until('the viewer', () => viewer.text.includes('back'));
    await viewer.close();
    await slot.release();
    const { events } = linesOf(target, slot.cast);
    expect(events.length).toBeGreaterThan(10);
    const { text } = await (await target.client()).cast.seek(slot.cast, 1e6, { text: true });
    expect(text).toContain('back');
  });

  attackOnce(
    'F16',
    async () => {
      const target = await of(me);
      const slot = await target.slot();
      await slot.terminal.start();
      const before = target.memory();
      const viewer = await openLive(target, slot.name, 'v1.alis');
      // This one never reads: its frames are let go, and it is given a fresh screen when it comes back.
      const sleepy = await slot.watch();
      const { seen } = await watchFor(slot, 'the end');
      const command = "head -c 50000000 /dev/zero | tr '\\0' x; printf 'the %s\\n' end";
      const result = await slot.terminal.run({ command, timeoutMs: 60_000, maxOutputBytes: 1000 });
      expect(result).toMatchObject({ exitCode: 0, truncated: true, outputBytes: 50_000_008 });
      await seen;
      await until('the viewer', () => viewer.text.includes('the end'), 30_000);
      expect(target.memory() - before).toBeLessThan(150 * MB);
      await Promise.all([viewer.close(), sleepy.close()]);
      await slot.release();
      const longest = Math.max(
        ...readFileSync(castFile(target, slot.cast), 'utf8')
          .split('\n')
          .map((line) => line.length),
      );
      expect(longest).toBeLessThan(128 * 1024);
      expect(printed(linesOf(target, slot.cast).events).match(/x{1000}/g)?.length).toBeGreaterThan(49_000);
    },
    60_000,
  );

  attack('F18', async (as) => {
    const target = await of(as);
    const slot = await target.slot();
    await slot.terminal.start({ cols: 80, rows: 24 });
    // Everything from the first frame on, as who was there saw it.
    const direct = new xterm.Terminal({ cols: 80, rows: 24, allowProposedApi: true });
    const { seen } = await watchFor(slot, 'half-way');
    const draw = [
      'print "\\e[?1049h\\e[2J\\e[3;20r\\e[?7l";',
      'for my $i (1..40) { print "\\e[${\\($i % 24 + 1)};${\\($i * 3 % 70 + 1)}H\\e[3$i;1;4m\\x{6f22}e\\x{301} $i\\e[0m" }',
      'print "\\e[20;1H\\n\\n\\n\\e[10;1H\\e[2L\\e[48;2;9;8;7mcolour\\e[K\\e(0lqk\\e(B\\e[12;70Hcut at the edge\\e7\\e[5;5Hhalf-way\\e[38;5;20";',
    ].join('');
    await slot.file.write({ path: 'draw.pl', data: `$| = 1; binmode STDOUT, ":utf8"; ${draw}` });
    // Without echo from the start: Enter may come before the first read.
    await slot.terminal.write("stty -echo; perl draw.pl; read -rs; printf 'mthe %s\\\\033[6;6H' end; read -rs\r");
    const before = await seen;
    // In the middle of a sequence: what follows must complete it.
    const viewer = await openLive(target, slot.name, 'v3.asciicast');
    const { seen: rest } = await watchFor(slot, 'the end');
    const begun = viewer.text;
    await slot.terminal.keys('Enter');
    const after = await rest;
    await until('the viewer', () => viewer.text.includes('the end'));
    const late = new xterm.Terminal({ cols: 80, rows: 24, allowProposedApi: true });
    const write = async (terminal: typeof direct, text: string): Promise<void> =>
      await new Promise((resolve) => terminal.write(text, resolve));
    expect(begun).toContain('\x1b[?1049h');
    await write(late, viewer.text);
    const joint = after.slice(after.lastIndexOf('mthe end'));
    await write(direct, before + joint);
    expect(cellsOf(late)).toEqual(cellsOf(direct));
    const { text, cursor } = await slot.terminal.capture();
    expect(rowsOf(late)).toBe(text);
    expect(cursor).toMatchObject({ col: late.buffer.active.cursorX, row: late.buffer.active.cursorY });
    expect(text).toContain('half-way');
    await viewer.close();
    await slot.release();
  });

  attack('F19', async (as) => {
    const secret = 'correct-horse-battery-staple';
    const target = await of(as);
    const hidden = await typePassword(target, secret);
    expect(hidden.text).toContain('28 characters');
    expect(hidden.text).not.toContain(secret);
    expect(hidden.watched).not.toContain(secret);
    const recording = await startTarget(as, { flags: ['--record-input'] });
    try {
      const told = await typePassword(recording, secret);
      expect(told.codes).toContain('i');
      expect(told.text).toContain(secret);
      // Kept from everybody on the host but the gateway's user; and the password of one slot is none of a token's for another.
      expect(statSync(castFile(recording, told.cast)).mode & 0o777).toBe(0o600);
      const viewer = await recording.client(await recording.mint({ role: 'viewer', slot: 'slot_3', ttlMs: 60_000 }));
      await expect(viewer.cast.read({ cast: told.cast })).rejects.toMatchObject({ fault: 'CAST_NOT_FOUND' });
    } finally {
      await recording.close();
    }
  });
});

async function typePassword(target: Target, secret: string) {
  const slot = await target.slot();
  await slot.terminal.start();
  const { seen } = await watchFor(slot, '28 characters');
  await slot.terminal.write('read -rsp "Password: " p; echo; echo "${#p} characters"\r');
  await slot.terminal.wait({ regex: '^Password:', timeoutMs: 5000 });
  await slot.terminal.write(secret);
  await slot.terminal.keys('Enter');
  const watched = await seen;
  await slot.release();
  const { events } = linesOf(target, slot.cast);
  return {
    cast: slot.cast,
    watched,
    codes: events.map(([, code]) => code),
    text: readFileSync(castFile(target, slot.cast), 'utf8'),
  };
}

type Screen = InstanceType<typeof xterm.Terminal>;

/** Characters, colours and flags of each cell. */
function cellsOf({ buffer, cols, rows }: Screen): unknown[] {
  const { active } = buffer;
  return Array.from({ length: rows * cols }, (_, index) => {
    const cell = active.getLine(active.baseY + Math.floor(index / cols))?.getCell(index % cols);
    const colours = [cell?.getFgColorMode(), cell?.getFgColor(), cell?.getBgColorMode(), cell?.getBgColor()];
    return [
      cell?.getChars() || ' ',
      cell?.getWidth(),
      ...colours,
      cell?.isBold(),
      cell?.isUnderline(),
      cell?.isInverse(),
    ].join();
  });
}

function rowsOf({ buffer, rows }: Screen): string {
  const { active } = buffer;
  const lines = Array.from(
    { length: rows },
    (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '',
  );
  return lines.join('\n').trimEnd();
}

describe('F: in the page', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(async () => await browser.close());

  /** The page of a slot in which that was printed, by somebody whose clipboard says `mine`. */
  async function opened(hostile: string, label = 'label') {
    const target = await of(me);
    const slot = await (await target.client()).acquire({ label });
    await slot.terminal.start({ cols: 100, rows: 20 });
    const page = await browser.open(`${target.url}/slot/${slot.name}#share=${TOKEN}`, {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await page.evaluate(() => navigator.clipboard.writeText('mine'));
    await page.locator('.ap-term-text').waitFor();
    await slot.file.write({ path: 'hostile', data: hostile });
    await slot.terminal.run({ command: "cat hostile; printf 'the %s\\n' end" });
    await until('the end', async () => (await screenRows(page)).join('\n').includes('the end'));
    return {
      slot,
      page,
      close: async () => {
        await page.context().close();
        await slot.release();
      },
    };
  }

  attackOnce('F02', async () => {
    const { page, close } = await opened('\x1b]52;c;ZXZpbA==\x07\x1b]52;p;ZXZpbA==\x1b\\');
    await page.locator('.ap-term-text').first().click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('mine');
    await close();
  });

  attackOnce('F04', async () => {
    const { page, slot, close } = await opened('\x1b]2;<img src=x onerror=document.title=1>;touch owned\x07\x1b[21t');
    await until('the title', async () => (await slot.info()).terminal?.title.startsWith('<img') === true);
    expect(await page.title()).toBe('slotcast');
    expect(await page.locator('img[src]').count()).toBe(0);
    await close();
  });

  attackOnce('F05', async () => {
    const links = ['javascript:document.title=2', 'file:///etc/passwd', 'https://evil.example/'];
    const { page, close } = await opened(
      links.map((link) => `\x1b]8;;${link}\x1b\\https://good.example\x1b]8;;\x1b\\\r\n`).join(''),
    );
    await page.getByText('https://good.example').first().click();
    const found = await page.locator('a[href]').evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).origin));
    expect(found.filter((origin) => origin !== new URL(page.url()).origin)).toEqual([]);
    expect(await page.title()).toBe('slotcast');
    expect(page.context().pages()).toHaveLength(1);
    await close();
  });

  attackOnce('F11', async () => {
    const label = '</script><script>document.title=3</script><img src=x>';
    const { page, close } = await opened('<script>document.title=4</script>', label);
    await page.getByText(label).first().waitFor();
    await page.getByRole('link', { name: 'Recording', exact: true }).click();
    await page.getByText(label).first().waitFor();
    expect(await page.title()).toBe('slotcast');
    expect(await page.locator('img[src]').count()).toBe(0);
    await close();
  });
});
