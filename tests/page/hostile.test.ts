// What a terminal, a command, a label or a title says is looked at and never acts on whoever looks.
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startGateway, type TestGateway, until } from '../support/gateway.ts';
import { openBrowser, screenRows, type TestBrowser } from '../support/page.ts';

let browser: TestBrowser;
let gateway: TestGateway;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(async () => await browser.close());
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway.close());

/** Clipboard, title, link to a script, markup, queries that a terminal would answer, a printer, a window report, then its end. */
const HOSTILE = [
  '\\033]52;c;ZXZpbA==\\007',
  '\\033]0;<img src=x onerror=document.title=1>\\007',
  '\\033]8;;javascript:document.title=2\\033\\\\click me\\033]8;;\\033\\\\',
  '<script>document.title=3</script><img src=//evil.example/x>',
  '\\033[c\\033[6n\\033[>c\\033]10;?\\007\\033P+q544e\\033\\\\\\033[21t\\033[5n',
  '\\033[?1004h\\033[?2004h\\033[?1000h',
  '\\033[5i printed \\033[4i',
  'the end of it',
].join('');

async function expectUntouched(page: Page): Promise<void> {
  expect(await page.title()).toBe('slotcast');
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('mine');
  const links = await page.locator('a[href]').evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).protocol));
  expect(links.filter((protocol) => !/^https?:$/.test(protocol))).toEqual([]);
  expect(await page.locator('img[src], iframe, object, embed').count()).toBe(0);
}

test('hostile output, command, label and title are text', async () => {
  const slot = await (await gateway.client()).acquire({ label: '<img src=x onerror=alert(1)> &amp; <i>label</i>' });
  await slot.terminal.start({ cols: 120, rows: 30 });
  await slot.terminal.run({ command: 'stty -echo' });
  const page = await browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`, {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await page.evaluate(() => navigator.clipboard.writeText('mine'));
  await slot.terminal.run({ command: `printf '${HOSTILE}\\n'` });
  await slot.exec.run({ command: `true '<b onclick=alert(1)>' '${String.fromCharCode(0x202e)}'` });
  const shown = async (): Promise<string> => (await screenRows(page)).join('\n');
  await until('the end of the output', async () => (await shown()).includes('the end of it'));
  expect(await shown()).toContain('<script>document.title=3</script>');
  await page.locator('.commands').getByText('<b onclick=alert(1)>').waitFor();
  expect(await page.textContent('body')).not.toContain('\u202e');
  await expectUntouched(page);

  // What nobody asked for would stand at the prompt as if typed: the terminal answers once, by the gateway itself, and no viewer does.
  await page.getByText('click me').first().click();
  await expectUntouched(page);
  await page.getByRole('link', { name: 'Recording', exact: true }).click();
  await page.getByRole('button', { name: 'Copy screen' }).waitFor();
  await until('the recording', async () => (await shown()).includes('the end of it'));
  await expectUntouched(page);
  await page.getByRole('link', { name: 'Wall', exact: true }).click();
  await page.locator('.card').waitFor();
  await until(
    'its card',
    async () => (await page.locator('.preview').textContent())?.includes('the end of it') === true,
  );
  await expectUntouched(page);
});

test('viewers answer no query: what the program reads is one answer, whoever looks', async () => {
  const slot = await (await gateway.client()).acquire();
  const command = `stty raw -echo; printf '\\033[6n'; sleep 1; dd bs=1000 count=1 iflag=nonblock 2>/dev/null | od -An -c; stty sane`;
  await slot.terminal.start({ cols: 80, rows: 24 });
  const pages = await Promise.all(
    [1, 2, 3].map(() => browser.open(`${gateway.url}/slot/${slot.name}#share=${gateway.token}`)),
  );
  for (const page of pages) await page.locator('.ap-term-text').waitFor();
  const { output } = await slot.terminal.run({ command });
  expect(output.match(/R/g)).toHaveLength(1);
});
