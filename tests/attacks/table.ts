// The table of the attacks as a reporter of Vitest: printed at the end, kept in docs/attacks.md when every row was tried. A row that nobody tried fails the run.
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestCase, TestModule } from 'vitest/node';
import type { Reporter } from 'vitest/reporters';
import { type AttackId, catalogue, type Row, sections, type User } from './catalogue.ts';

type Result = 'holds' | 'FAILS' | 'not tried';
type Results = Map<string, Result>;

const PAGE = new URL('../../docs/attacks.md', import.meta.url);
const users: readonly User[] = ['root', 'user'];

export default class AttackTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const results: Results = new Map();
    for (const module of modules) for (const test of module.children.allTests()) note(results, test);
    const table = tableOf(results);
    process.stdout.write(`\n${table}\n`);
    const open = (Object.keys(catalogue) as AttackId[]).filter((id) =>
      users.every((as) => cell(results, id, as) === 'not tried'),
    );
    if (open.length > 0) {
      process.stdout.write(`not tried: ${open.join(' ')}\n`);
      process.exitCode = 1;
    } else if (process.getuid?.() === 0 && ![...results.values()].includes('FAILS')) {
      writeFileSync(PAGE, pageOf(table));
    }
  }
}

function note(results: Results, test: TestCase): void {
  const { attack } = test.meta();
  if (attack === undefined) return;
  const key = `${attack.id} ${attack.as}`;
  const { state } = test.result();
  if (state === 'failed') results.set(key, 'FAILS');
  if (state === 'passed' && !results.has(key)) results.set(key, 'holds');
}

function cell(results: Results, id: AttackId, as: User): string {
  const { untested }: Row = catalogue[id];
  const reason = typeof untested === 'string' ? untested : untested?.[as];
  if (reason !== undefined) return reason;
  return (
    results.get(`${id} ${as}`) ??
    (results.has(`${id} ${as === 'root' ? 'user' : 'root'}`) ? 'the same for both' : 'not tried')
  );
}

function tableOf(results: Results): string {
  const ids = Object.keys(catalogue) as AttackId[];
  return Object.entries(sections)
    .map(([letter, title]) => {
      const rows = ids.filter((id) => id.startsWith(letter)).map((id) => line(results, id));
      return [
        `## ${letter}. ${title}`,
        '',
        '| id | attack | must happen | as root | as user |',
        '|---|---|---|---|---|',
        ...rows,
        '',
      ].join('\n');
    })
    .join('\n');
}

function line(results: Results, id: AttackId): string {
  const { attack, must } = catalogue[id];
  return `| ${[id, attack, must, ...users.map((as) => cell(results, id, as))].join(' | ')} |`;
}

function pageOf(table: string): string {
  const page = readFileSync(PAGE, 'utf8');
  const [head = ''] = page.split(/^## /m);
  return `${head}${table}`;
}
