// slotcast pin CAST: keeps a recording whatever the gateway's --keep-casts says; --off gives it back to that rule.
import { connectTo, type GatewayOptions } from './gateway.ts';

export interface PinOptions extends GatewayOptions {
  readonly off?: boolean;
}

export async function pin(cast: string, { off = false, ...options }: PinOptions): Promise<number> {
  const client = await connectTo(options);
  try {
    await client.cast.pin(cast, !off);
    return 0;
  } finally {
    await client.close();
  }
}
