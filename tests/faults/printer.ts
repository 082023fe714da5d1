// Lines with numbers, printed in a slot, and found again in what came of them: a recording, a reply, frames.
import type { Client } from '../../client/index.ts';

/** Shell words that print `<name:1>` to `<name:count>`, a line each. */
export const numbered = (name: string, count: number, pauseSeconds = 0): string =>
  `perl -e '$| = 1; for (1 .. ${count}) { print "<${name}", ":$_>\\n"; select undef, undef, undef, ${pauseSeconds} }'`;

export const numbersIn = (text: string, name: string): number[] =>
  [...text.matchAll(new RegExp(`<${name}:(\\d+)>`, 'g'))].map(([, number]) => Number(number));

/** What is not 1 to count, once and in order: each place as [expected, found]. */
export function gapsIn(numbers: readonly number[], count: number): (readonly [number, number | undefined])[] {
  return Array.from({ length: Math.max(count, numbers.length) }, (_, index) => [index + 1, numbers[index]] as const)
    .filter(([expected, found]) => expected !== found)
    .slice(0, 10);
}

/** All that a recording says was printed. */
export async function recorded(client: Client, cast: string): Promise<string> {
  let text = '';
  for await (const [, code, data] of client.cast.frames({ cast })) if (code === 'o') text += data;
  return text;
}
