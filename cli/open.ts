// slotcast open: prints an address that signs a browser in, once. It opens no browser itself: that may be on another host.
import { z } from 'zod';
import { connectTo, type GatewayOptions } from './gateway.ts';
import { endQuietlyWithoutReader } from './output.ts';

export async function open(options: GatewayOptions): Promise<number> {
  const client = await connectTo(options);
  endQuietlyWithoutReader();
  try {
    const { ticket } = z.object({ ticket: z.string() }).parse(await client.post('session/tickets', {}));
    process.stdout.write(`${client.url}#ticket=${ticket}\n`);
    return 0;
  } finally {
    await client.close();
  }
}
