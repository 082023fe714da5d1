// slotcast doctor: what a host can and cannot do for slots, with what to do about it. Tries it here, or asks a gateway that runs.
import type { Capability } from '../client/index.ts';
import { FAILED } from './complaint.ts';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { endQuietlyWithoutReader } from './output.ts';
import { probeHost } from './serve.ts';
import { harmless } from './table.ts';

export interface DoctorOptions extends GatewayOptions {
  readonly json?: boolean;
  readonly dataDir?: string;
}

type Capabilities = Readonly<Record<string, Capability>>;

/** Exit code 1 when commands can't be sandboxed. */
export async function doctor(options: DoctorOptions): Promise<number> {
  endQuietlyWithoutReader();
  const capabilities = options.url === undefined ? await probeHost(options.dataDir) : await capabilitiesOf(options);
  process.stdout.write(options.json ? `${JSON.stringify(capabilities, null, 2)}\n` : report(capabilities));
  return capabilities['sandbox']?.ok ? 0 : FAILED;
}

async function capabilitiesOf(options: DoctorOptions): Promise<Capabilities> {
  const client = await connectTo(options);
  try {
    return (await client.server.info()).capabilities;
  } finally {
    await client.close();
  }
}

function report(capabilities: Capabilities): string {
  const width = Math.max(...Object.keys(capabilities).map((name) => name.length));
  const lines = Object.entries(capabilities).flatMap(([name, { ok, detail, remedy }]) => {
    const line = `${ok ? 'ok     ' : 'missing'}  ${name.padEnd(width)}  ${harmless(detail)}`;
    return ok || remedy === undefined ? [line] : [line, `${' '.repeat(width + 11)}→ ${harmless(remedy)}`];
  });
  return `${lines.join('\n')}\n`;
}
