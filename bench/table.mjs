// How results are shown: a line at once for each, and the table with the machine's facts as Markdown.
import { cpus, loadavg, release, totalmem } from 'node:os';

/** To be asked before anything is measured: the load is that of others. */
export function machine() {
  const [{ model = 'unknown' } = {}] = cpus();
  return [
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `${cpus().length} cores (${model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB`,
    `kernel ${release()}, Node ${process.version.slice(1)}, ${process.getuid() === 0 ? 'as root: slots have users of their own' : 'as an ordinary user'}`,
    `load when it began: ${loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')}`,
  ];
}

const number = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const both = ({ p50, p99, count }) => (count > 1 ? `${number(p50)} (${number(p99)})` : number(p50));

function aimText({ aim, unit }) {
  const { p50, p99, ratio, text = '' } = aim;
  if (ratio !== undefined) return `≤ ${ratio} × floor`;
  if (p50 !== undefined) return `≤ ${p50} ${unit}${p99 === undefined ? '' : ` (${p99})`}`;
  if (p99 !== undefined) return `p99 ≤ ${p99} ${unit}`;
  return text;
}

/** Which aims are missed; empty when there is none. */
export function missed({ line, measured }) {
  if (measured === null) return ['failed'];
  const { slotcast, floor } = measured.result;
  const { aim } = line;
  return [
    ...(aim.p50 !== undefined && slotcast.p50 > aim.p50 ? ['p50'] : []),
    ...(aim.p99 !== undefined && slotcast.p99 > aim.p99 ? ['p99'] : []),
    ...(aim.ratio !== undefined && slotcast.p50 > aim.ratio * floor.p50 ? ['ratio'] : []),
  ];
}

const ratio = ({ slotcast, floor }) => (floor === undefined ? '' : (slotcast.p50 / floor.p50).toFixed(2));

export function rowText(row) {
  const { name, line, measured } = row;
  if (measured === null) return `${name}: FAILED`;
  const { floor, slotcast } = measured.result;
  const lack = missed(row);
  const verdict = lack.length === 0 ? '' : `  MISSED: ${lack.join(', ')}`;
  const beside = floor === undefined ? '' : `  floor ${both(floor)}  ratio ${ratio(measured.result)}`;
  return `${name.padEnd(13)} slotcast ${both(slotcast)} ${line.unit}${beside}  aim ${aimText(line) || '-'}  [${measured.took.toFixed(0)} s]${verdict}`;
}

function cells(row) {
  const { name, line, measured } = row;
  if (measured === null) return [line.what, '', 'failed', '', aimText(line), ''];
  const { floor, slotcast, ...others } = measured.result;
  const more = Object.entries(others).map(([side, found]) => `${side}: ${both(found)}`);
  const lack = missed(row);
  const verdict = lack.length === 0 ? '' : `, **missed: ${lack.join(', ')}**`;
  return [
    `${line.what} [${name}], ${line.unit}`,
    floor === undefined ? '' : both(floor),
    both(slotcast),
    ratio(measured.result),
    `${aimText(line)}${verdict}`,
    [...more, ...measured.notes].join('; '),
  ];
}

export function tableText({ facts, rows, compiled }) {
  const head = ['work', 'floor', 'slotcast', 'ratio', 'aim', 'beside it'];
  const table = [head, head.map(() => '---'), ...rows.map(cells)].map((row) => `| ${row.join(' | ')} |`);
  const by = compiled ? 'posix_spawn from C' : "Perl's fork and exec, as there is no C compiler here";
  return [
    '# What slotcast takes, beside what it cannot go below',
    '',
    'Written by `npm run bench`. p50 (p99), measured in turns within one run.',
    '',
    ...facts.map((fact) => `- ${fact}`),
    `- floor of commands: the gateway's own bwrap line by ${by}`,
    '',
    ...table,
    '',
  ].join('\n');
}
