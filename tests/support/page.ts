// The page in Debian's Chromium, as a person has it open. Notes whatever the page should never do: errors, breaches of its policy, requests to others.
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { inside, needs, remote } from './remote.ts';

export interface TestBrowser {
  /** A browser profile of its own, opened at that address. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>;
  /** Fails when a page did what none should; ends the browser. */
  close(): Promise<void>;
  /** What pages did that none should; a test that provokes such a thing takes it out. */
  readonly problems: string[];
}

export async function openBrowser(): Promise<TestBrowser> {
  if (remote !== null || inside) return needs('a browser on the same host');
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Its own sandbox can't be had by root or in a container; /dev/shm is small in containers.
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
  });
  const problems: string[] = [];
  return {
    problems,
    open: async (url, options) => await openPage({ browser, problems, url, options }),
    close: async () => {
      await browser.close();
      expect(problems).toEqual([]);
    },
  };
}

interface Opening {
  readonly browser: Browser;
  readonly problems: string[];
  readonly url: string;
  readonly options: BrowserContextOptions | undefined;
}

async function openPage({ browser, problems, url, options }: Opening): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const { origin } = new URL(url);
  context.on('request', (request) => {
    const to = new URL(request.url());
    if (to.protocol.startsWith('http') && to.origin !== origin) problems.push(`request to ${to.origin}`);
  });
  context.on('weberror', (error) => problems.push(`error: ${error.error().message}`));
  context.on('console', (message) => {
    // A gateway that is away is told of by the browser itself.
    const isOfNetwork = /Failed to load resource|WebSocket connection to/.test(message.text());
    if (message.type() === 'error' && !isOfNetwork) problems.push(`console: ${message.text()}`);
  });
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** The rows that a player shows, without the blanks at their ends and without empty ones at the bottom. */
export async function screenRows(page: Page, layer = '.layer:not([aria-hidden="true"])'): Promise<string[]> {
  const lines = await page.locator(`${layer} .ap-term-text .ap-line`).allTextContents();
  const rows = lines.map((line) => line.replaceAll('\u00a0', ' ').trimEnd());
  while (rows.at(-1) === '') rows.pop();
  return rows;
}
