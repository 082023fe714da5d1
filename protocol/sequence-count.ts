// How often one sequence makes an xterm do something. Ten characters may name two thousand million lines, and xterm would go through them one by one,
// for minutes: in the gateway, and in the page of who drives a terminal.

/** xterm's own parser, of the headless one as of that in a page: the one outside gives handlers a copy of the numbers. */
interface Parser {
  registerCsiHandler(id: { final: string }, handler: (given: { readonly params: Int32Array }) => boolean): void;
}

/** What counts lines, and what counts columns: repeated characters, tabs forwards and backwards. */
const LINE_COUNTS = ['L', 'M', 'S', 'T'];
const COLUMN_COUNTS = ['b', 'I', 'Z'];

/** Whatever counts more than the screen has counts as much as that. `terminal` is xterm.js 6 or its headless twin. */
export function boundCounts(terminal: { readonly rows: number; readonly cols: number }): void {
  const { _core } = terminal as unknown as { readonly _core: { readonly _inputHandler: { readonly _parser: Parser } } };
  const bound = (final: string, most: () => number): void =>
    _core._inputHandler._parser.registerCsiHandler({ final }, ({ params }) => {
      params[0] = Math.min(params[0] ?? 0, most());
      return false;
    });
  for (const final of LINE_COUNTS) bound(final, () => terminal.rows);
  for (const final of COLUMN_COUNTS) bound(final, () => terminal.cols);
}
