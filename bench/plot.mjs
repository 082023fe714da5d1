// A small chart as SVG: lines with points over a logarithmic x, from zero up. Readable on light and dark grounds.
const WIDTH = 480;
const HEIGHT = 280;
const LEFT = 56;
const RIGHT = 16;
const TOP = 36;
const BOTTOM = 44;
const COLOURS = ['#2a78d6', '#d9662b', '#1f9d6b', '#9b59b6'];
const GREY = '#8a8a8a';
/** Lines across. */
const STEPS = 4;

/** `series`: {name: [[x, y], …]}. */
export function plot({ title, xLabel, unit, series }) {
  const points = Object.values(series).flat();
  const [firstX, lastX] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
  const top = roundUp(Math.max(...points.map(([, y]) => y)));
  const across = (x) => LEFT + (Math.log(x / firstX) / Math.log(lastX / firstX)) * (WIDTH - LEFT - RIGHT);
  const down = (y) => HEIGHT - BOTTOM - (y / top) * (HEIGHT - TOP - BOTTOM);
  const ticks = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11" fill="${GREY}">`,
    `<title>${title}</title>`,
    text(LEFT, 18, title, 'font-weight="bold" font-size="13"'),
    ...Array.from({ length: STEPS + 1 }, (_, step) => grid((top * step) / STEPS, { down, unit })),
    ...ticks.map((x) => text(across(x), HEIGHT - BOTTOM + 16, x.toLocaleString('en'), 'text-anchor="middle"')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, xLabel, 'text-anchor="middle"'),
    ...Object.entries(series).flatMap(([name, all], at) => curve({ name, all, at, across, down })),
    '</svg>',
    '',
  ].join('\n');
}

/** The next 1, 2 or 5 with zeros. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

function grid(value, { down, unit }) {
  const y = down(value);
  return (
    `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="${GREY}" stroke-opacity="0.25"/>` +
    text(LEFT - 6, y + 4, `${Number(value.toPrecision(3))} ${unit}`, 'text-anchor="end"')
  );
}

function curve({ name, all, at, across, down }) {
  const colour = COLOURS[at % COLOURS.length];
  const places = all.map(([x, y]) => [across(x).toFixed(1), down(y).toFixed(1)]);
  return [
    `<polyline points="${places.map((place) => place.join(',')).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`),
    text(LEFT + 8, TOP + 8 + 14 * at, name, `fill="${colour}"`),
  ];
}

const text = (x, y, what, more) => `<text x="${x}" y="${y}" ${more}>${what}</text>`;
