// The screen of a recording at a moment, as text to take along.
import type { Client } from '../../../client/index.ts';

/** Lines without the blanks at their ends; empty ones at the bottom are left out. Faults: CAST_NOT_FOUND, CAST_DAMAGED. */
export async function screenText(client: Client, cast: string, time: number): Promise<string> {
  const { text = '' } = await client.call('cast.seek', { cast, time, text: true });
  return text;
}
