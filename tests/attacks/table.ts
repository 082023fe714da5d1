// The table of the attacks as a reporter of Vitest: printed at the end, kept in docs/attacks.md when every row was tried. A row that nobody tried fails the run.
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestCase, TestModule } from 'vitest/node';
import type { Reporter } from 'vitest/reporters';
import { inside, remote } from '../support/remote.ts';
import { type AttackId, catalogue, type Row, sections, type User } from './catalogue.ts';

const NOT_HERE = 'not tried here: ';
const PARTLY = ', for a part of it; the rest holds';
type Reason = `${typeof NOT_HERE}${string}`;
type Result = 'holds' | 'FAILS' | 'not tried' | Reason;
type Results = Map<string, Result>;

const PAGE = new URL('../../docs/attacks.md', import.meta.url);
/** In a container, or wherever else, it is an ordinary user who runs the gateway, and a row may need more than there is. */
const isElsewhere = remote !== null || inside;
const users: readonly User[] = isElsewhere ? ['user'] : ['root', 'user'];

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
    } else if (!isElsewhere && process.getuid?.() === 0 && ![...results.values()].includes('FAILS')) {
      writeFileSync(PAGE, pageOf(table));
    }
  }
}

function note(results: Results, test: TestCase): void {
  const { attack } = test.meta();
  if (attack === undefined) return;
  const key = `${attack.id} ${attack.as}`;
  const result = test.result();
  const before = results.get(key);
  if (result.state === 'failed') results.set(key, 'FAILS');
  else if (result.state === 'passed') results.set(key, together(before, 'holds'));
  else if (isElsewhere && result.state === 'skipped') results.set(key, together(before, reasonOf(result.note)));
}

/** Of several tests for one row: a failure counts, and what was tried in part says what is left. */
function together(before: Result | undefined, now: Result): Result {
  if (before === undefined || before === now || before === 'FAILS') return before ?? now;
  const reason = before === 'holds' ? now : before;
  return reason.endsWith(PARTLY) ? reason : `${reason as Reason}${PARTLY}`;
}

const reasonOf = (note = 'needs more than its port'): Reason =>
  `${NOT_HERE}${note.startsWith(NOT_HERE) ? note.slice(NOT_HERE.length) : note}`;

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
        `| id | attack | must happen | ${users.map((as) => `as ${as}`).join(' | ')} |`,
        `|---|---|---|${'---|'.repeat(users.length)}`,
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
