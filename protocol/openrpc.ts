// The OpenRPC document of the contract, made from its schemas. Pure; nothing is said here that the schemas don't say.
import { z } from 'zod';
import { methods, notifications } from './contract.ts';
import { type FaultName, faults } from './fault.ts';
import type { Method, Notification } from './method.ts';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface OpenRpcParam {
  readonly name: string;
  readonly description?: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
}

export interface OpenRpcMethod {
  readonly name: string;
  readonly summary: string;
  readonly paramStructure: 'by-name';
  readonly params: readonly OpenRpcParam[];
  readonly result: { readonly name: string; readonly schema: JsonSchema };
  readonly errors: readonly { readonly $ref: string }[];
  /** The least role that may call it. */
  readonly 'x-role': Method['role'];
  /** Whether the connection has to drive a slot. */
  readonly 'x-needs': Method['needs'];
  /** What holds between params, which JSON Schema does not say. */
  readonly 'x-rules'?: readonly string[];
}

export interface OpenRpcNotification {
  readonly name: string;
  readonly summary: string;
  readonly params: readonly OpenRpcParam[];
}

export interface OpenRpcError {
  readonly code: number;
  readonly message: string;
  readonly data: { readonly name: FaultName; readonly retry: string };
  readonly 'x-http': number;
}

/** A type, not an interface, so that it is a plain JSON object to rpc.discover. */
export type OpenRpc = {
  readonly openrpc: '1.3.2';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly methods: readonly OpenRpcMethod[];
  readonly components: { readonly errors: Readonly<Record<FaultName, OpenRpcError>> };
  /** What the server sends on its own account. */
  readonly 'x-notifications': readonly OpenRpcNotification[];
};

/** Faults that any call may meet, beside its own. */
export const commonFaults = [
  'INVALID_PARAMS',
  'FORBIDDEN',
  'RATE_LIMITED',
  'SHUTTING_DOWN',
  'INTERNAL',
] as const satisfies readonly FaultName[];
/** Further ones of calls that mean the slot of their connection. */
export const boundFaults = ['NOT_BOUND', 'LEASE_LOST', 'SLOT_BUSY'] as const satisfies readonly FaultName[];

/** The document; `version` is that of the gateway. */
export function openRpc(version: string): OpenRpc {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'slotcast',
      version,
      description: 'JSON-RPC 2.0 over a WebSocket with the subprotocol slotcast.v1. All params by name.',
    },
    methods: Object.entries<Method>(methods).map(([name, declared]) => describeMethod(name, declared)),
    components: { errors: describeFaults() },
    'x-notifications': Object.entries<Notification>(notifications).map(([name, { summary, params }]) => ({
      name,
      summary,
      params: describeParams(params, 'output'),
    })),
  };
}

function describeMethod(name: string, declared: Method): OpenRpcMethod {
  const { summary, role, needs, params, result } = declared;
  const rules = rulesOf(params);
  return {
    name,
    summary,
    paramStructure: 'by-name',
    params: describeParams(params, 'input'),
    result: { name: 'result', schema: toSchema(result, 'output') },
    errors: faultsOf(declared).map((fault) => ({ $ref: `#/components/errors/${fault}` })),
    'x-role': role,
    'x-needs': needs,
    ...(rules.length === 0 ? {} : { 'x-rules': rules }),
  };
}

function faultsOf({ needs, faults: own }: Method): readonly FaultName[] {
  return [...new Set([...own, ...(needs === 'slot' ? boundFaults : []), ...commonFaults])];
}

function describeParams(params: z.ZodObject, io: 'input' | 'output'): readonly OpenRpcParam[] {
  const { properties = {}, required = [] } = toSchema(params, io);
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = typeof schema === 'boolean' ? {} : schema;
    return {
      name,
      ...(description === undefined ? {} : { description }),
      required: required.includes(name),
      schema: rest,
    };
  });
}

/**
 * Draft 7, as OpenRPC wants it. Safe integers are the bounds of every integer here and are left out; what the server sends may gain
 * fields, so that nobody should refuse ones that he does not know.
 */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    io,
    target: 'draft-7',
    reused: 'inline',
    override: ({ jsonSchema }) => {
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return made as JsonSchema;
}

/** Messages of the refinements over the params as a whole. */
function rulesOf(params: z.ZodObject): readonly string[] {
  return (params.def.checks ?? []).flatMap(({ _zod: { def } }) => {
    const told = (def.error as z.core.$ZodErrorMap | undefined)?.({ code: 'custom', input: undefined, path: [] });
    const message = typeof told === 'object' ? told?.message : told;
    return message === undefined ? [] : [message];
  });
}

function describeFaults(): Readonly<Record<FaultName, OpenRpcError>> {
  return Object.fromEntries(
    Object.entries(faults).map(([name, { code, http, retry, meaning }]) => [
      name,
      { code, message: meaning, data: { name, retry }, 'x-http': http },
    ]),
  ) as Record<FaultName, OpenRpcError>;
}
