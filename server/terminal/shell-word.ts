// Text as a shell reads it. Pure.

/** As one word, whatever is in it. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
