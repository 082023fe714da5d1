// server and rpc: what this gateway is and can do.
import { z } from 'zod';
import { method } from './method.ts';
import { empty } from './value.ts';

/** One thing that the host can or cannot do, found by trying it. */
export const capability = z.object({
  ok: z.boolean(),
  detail: z.string().describe('what was found'),
  remedy: z.string().optional().describe('what to do when it is missing'),
});
export type Capability = z.infer<typeof capability>;

export const serverMethods = {
  'server.info': method({
    summary: 'Name, version, what the host was found able to do, and the limits in force.',
    role: 'viewer',
    needs: 'nothing',
    params: empty,
    result: z.object({
      name: z.literal('slotcast'),
      version: z.string(),
      protocol: z.literal(1),
      capabilities: z.record(z.string(), capability),
      limits: z.record(z.string(), z.number()),
    }),
    faults: [],
  }),
  'rpc.discover': method({
    summary: 'This interface as an OpenRPC document.',
    role: 'viewer',
    needs: 'nothing',
    params: empty,
    result: z.record(z.string(), z.unknown()),
    faults: [],
  }),
} as const;
