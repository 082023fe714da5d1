// Who gets in, by what, and how little a link that was shared opens.
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

const wall = (page: Page) => page.getByText('No slot is in use');

test('the address that is printed signs one browser in, once, by a cookie that no script can read', async () => {
  const address = gateway.signInUrl();
  const page = await browser.open(address);
  await wall(page).waitFor();
  expect(page.url()).toBe(`${gateway.url}/`);
  const cookies = await page.context().cookies();
  expect(cookies).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await page.reload();
  await wall(page).waitFor();

  const second = await browser.open(address);
  await second.getByRole('heading', { name: 'Sign in' }).waitFor();
  await second.getByRole('alert').waitFor();
});

test('who is not signed in is told where the address is, and a token that is typed gets in', async () => {
  const page = await browser.open(`${gateway.url}/casts`);
  await page.getByText('npm start').waitFor();
  const field = page.getByLabel('Or paste a token');
  await field.fill('not-a-token-of-this-gateway');
  await field.press('Enter');
  await page.getByRole('alert').getByText('The token is wrong').waitFor();
  await field.fill(gateway.token);
  await field.press('Enter');
  await page.getByText('Nothing is recorded yet').waitFor();
});

test('signing out ends it, in the browser and in the gateway', async () => {
  const page = await browser.open(gateway.signInUrl());
  await wall(page).waitFor();
  const [cookie] = await page.context().cookies();
  if (cookie === undefined) throw new Error('There is no cookie.');
  await page.getByLabel('Signed in as admin').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  const headers = { cookie: `${cookie.name}=${cookie.value}` };
  expect((await fetch(`${gateway.url}/session`, { headers })).status).toBe(401);
});

async function share(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'Share' }).click();
  const dialog = page.getByRole('dialog', { name: 'Share' });
  await dialog.getByRole('combobox').selectOption({ label: '1 hour' });
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  return (await dialog.locator('.copy code').textContent()) ?? '';
}

test('a shared slot is seen live and recorded, and nothing beside it', async () => {
  const client = await gateway.client();
  const slot = await client.acquire();
  await slot.terminal.run({ command: 'echo for a guest' });
  const other = await (await gateway.client()).acquire({ label: 'private' });
  const owner = await browser.open(`${gateway.signInUrl().replace('/#', `/slot/${slot.name}#`)}`);
  const guest = await browser.open(await share(owner));
  await until('the screen', async () => (await screenRows(guest)).includes('for a guest'));
  expect(guest.url()).not.toContain('share=');
  expect(await guest.getByRole('button', { name: /Share|Take over/ }).count()).toBe(0);
  await guest.goto(`${gateway.url}/slot/${other.name}`);
  await guest.getByText('There is no slot').waitFor();
  await guest.goto(`${gateway.url}/casts`);
  await until('its recording', async () => (await guest.locator('a.cast').count()) === 1);
  await guest.goto(`${gateway.url}/cast/${other.cast}`);
  await guest.getByText('There is no such recording').waitFor();
});

test('a shared recording is seen, and not what its slot does now', async () => {
  const client = await gateway.client();
  const slot = await client.acquire();
  await slot.terminal.run({ command: 'clear; echo once upon a time' });
  const { cast, name } = slot;
  await slot.release();
  const now = await client.acquire({ slot: name });
  await now.terminal.run({ command: 'echo what happens now' });
  const owner = await browser.open(`${gateway.signInUrl().replace('/#', `/cast/${cast}#`)}`);
  // The link is one to the moment that the owner sees.
  await until('its end', async () => (await screenRows(owner)).includes('once upon a time'));
  const guest = await browser.open(await share(owner));
  // A browser draws what lies behind other pages late, or not at all.
  await guest.bringToFront();
  const isShown = async (): Promise<boolean> => (await screenRows(guest)).includes('once upon a time');
  await until('its end', isShown, 40_000).catch(async (error: unknown) => {
    throw new Error(`${error}, at ${guest.url()}: ${await guest.locator('body').innerText()}`);
  });
  for (const path of [`/slot/${name}`, '/']) {
    await guest.goto(`${gateway.url}${path}`);
    await guest.getByText(/There is no slot|no slots to see/).waitFor();
  }
  await guest.goto(`${gateway.url}/cast/${now.cast}`);
  await guest.getByText('There is no such recording').waitFor();
}, 60_000);

test('a script that is written into the page does not run', async () => {
  const page = await browser.open(gateway.signInUrl());
  await wall(page).waitFor();
  const ran = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
    const image = document.createElement('img');
    image.setAttribute('onerror', 'window.ran = true');
    const failed = new Promise((resolve) => image.addEventListener('error', resolve));
    image.src = '/none.png';
    document.body.append(image);
    await failed;
    return 'ran' in window;
  });
  expect(ran).toBe(false);
  expect(browser.problems.splice(0).join('\n')).toContain('Content Security Policy');
});

test('the first load is less than 250 KB, and the player and xterm.js are not in it', async () => {
  const page = await browser.open(`${gateway.url}/healthz`);
  const sizes: Promise<{ path: string; bytes: number }>[] = [];
  page.on('requestfinished', (request) => {
    const path = new URL(request.url()).pathname;
    sizes.push(request.sizes().then(({ responseBodySize }) => ({ path, bytes: responseBodySize })));
  });
  await page.goto(gateway.signInUrl());
  await wall(page).waitFor();
  const loaded = await Promise.all(sizes);
  const total = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(total).toBeGreaterThan(10_000);
  expect(total).toBeLessThan(250_000);
  expect(loaded.map(({ path }) => path).filter((path) => /player|xterm/.test(path))).toEqual([]);
});
