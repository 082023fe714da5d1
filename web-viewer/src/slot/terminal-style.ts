// xterm.js makes style elements, which the page's policy forbids. Here their text becomes style sheets that a script constructs, which it allows.

export interface HeldStyles {
  close(): void;
}

/** Runs `open`, in which xterm.js makes its style elements; each gets something inert instead, whose text is applied as a sheet. */
export function holdStyles(open: () => void): HeldStyles {
  const sheets = new Set<CSSStyleSheet>();
  const observers: MutationObserver[] = [];
  const holder = (): HTMLElement => {
    const element = Document.prototype.createElement.call(document, 'span');
    const sheet = new CSSStyleSheet();
    const observer = new MutationObserver(() => sheet.replaceSync(element.textContent ?? ''));
    element.hidden = true;
    observer.observe(element, { childList: true, characterData: true, subtree: true });
    observers.push(observer);
    sheets.add(sheet);
    return element;
  };
  const create = (name: string, options?: ElementCreationOptions): HTMLElement =>
    name.toLowerCase() === 'style' ? holder() : Document.prototype.createElement.call(document, name, options);
  // Only for as long as this turn lasts: it has no option for where its styles go.
  Object.defineProperty(document, 'createElement', { value: create, configurable: true });
  try {
    open();
  } finally {
    Reflect.deleteProperty(document, 'createElement');
  }
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, ...sheets];
  return {
    close: () => {
      for (const observer of observers) observer.disconnect();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.has(sheet));
    },
  };
}
