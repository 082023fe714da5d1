import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { methodNamed, methods, notificationNamed, notifications } from '../../../protocol/contract.ts';
import { Fault, type FaultName, faults } from '../../../protocol/fault.ts';
import { type Method, roles } from '../../../protocol/method.ts';
import { boundFaults, commonFaults } from '../../../protocol/openrpc.ts';

const all = Object.entries<Method>(methods);
const root = new URL('../../../', import.meta.url).pathname;

/** Codes and HTTP statuses as other programs know them. A line here never changes. */
const promised: Readonly<Record<FaultName, readonly [code: number, http: number]>> = {
  PARSE_ERROR: [-32700, 400],
  INVALID_REQUEST: [-32600, 400],
  METHOD_NOT_FOUND: [-32601, 404],
  INVALID_PARAMS: [-32602, 400],
  INTERNAL: [-32603, 500],
  UNAUTHENTICATED: [1001, 401],
  FORBIDDEN: [1002, 403],
  NOT_BOUND: [1003, 409],
  RESUME_GONE: [1004, 410],
  CANCELLED: [1005, 499],
  RATE_LIMITED: [1006, 429],
  SHUTTING_DOWN: [1007, 503],
  KEY_CONFLICT: [1008, 409],
  SLOT_NOT_FOUND: [2001, 404],
  SLOT_BUSY: [2002, 409],
  NO_FREE_SLOT: [2003, 503],
  LEASE_LOST: [2004, 409],
  SANDBOX_UNAVAILABLE: [3001, 503],
  PROCESS_NOT_FOUND: [3002, 404],
  STDIN_CLOSED: [3003, 409],
  TOO_MANY_PROCESSES: [3004, 429],
  TERMINAL_ENDED: [4001, 409],
  TERMINAL_BUSY: [4003, 409],
  PATH_OUTSIDE: [5001, 403],
  FILE_NOT_FOUND: [5002, 404],
  WRONG_FILE_KIND: [5003, 409],
  TOO_LARGE: [5004, 413],
  HASH_MISMATCH: [5005, 412],
  NO_SPACE: [5006, 507],
  CAST_NOT_FOUND: [6001, 404],
  CAST_DAMAGED: [6002, 422],
  OWNER_UNREACHABLE: [7001, 502],
};

/** Every method of the contract, by hand: none may go, and one that comes is a decision. */
const promisedMethods = [
  'server.info rpc.discover',
  'slot.acquire slot.release slot.reset slot.list slot.info slot.takeover slot.giveback',
  'exec.run exec.start exec.write exec.signal exec.wait exec.hold exec.list',
  'terminal.start terminal.run terminal.write terminal.keys terminal.resize terminal.capture terminal.wait terminal.stop',
  'watch.start watch.stop watch.slots',
  'cast.list cast.info cast.verify cast.pin cast.seek cast.read cast.output',
  'file.read file.write file.list file.stat file.remove file.mkdir file.move',
  'artifact.archive',
].flatMap((line) => line.split(' '));

/** Part of the contract, but nothing of one host can meet it: for gateways that stand before others. */
const notYetThrown: readonly FaultName[] = ['OWNER_UNREACHABLE'];

describe('the fault catalog', () => {
  test('is the promised one', () => {
    const actual = Object.fromEntries(Object.entries(faults).map(([name, { code, http }]) => [name, [code, http]]));
    expect(actual).toEqual(promised);
  });

  test('has no code twice', () => {
    const codes = Object.values(faults).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  test('says in a sentence what each means', () => {
    for (const [name, { meaning }] of Object.entries(faults)) expect(meaning, name).toMatch(/^[A-Z].*\.$/);
  });

  test('has no fault that nobody throws', () => {
    const files = ['protocol', 'server'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(folder, name)),
    );
    // Declared in a method's list only is not enough: some line has to say the name to make one.
    const text = files
      .filter((file) => file !== 'protocol/fault.ts' && file !== 'protocol/openrpc.ts')
      .map((file) => readFileSync(join(root, file), 'utf8').replace(/faults: \[[^\]]*\]|[fF]aults = \[[^\]]*\]/g, ''))
      .join('\n');
    const unused = Object.keys(faults).filter((name) => !text.includes(`'${name}'`));
    expect(unused).toEqual(notYetThrown);
  });

  test('gives an error its code, status and whether to try again', () => {
    const fault = new Fault('SLOT_BUSY', 'slot_1 is leased.', { slot: 'slot_1', name: 'forged' });
    expect(fault).toMatchObject({ code: 2002, http: 409, message: 'slot_1 is leased.' });
    expect(fault.data).toEqual({ slot: 'slot_1', name: 'SLOT_BUSY', retry: 'after' });
  });
});

describe('the methods', () => {
  test('are the promised ones', () => {
    expect(Object.keys(methods).sort()).toEqual([...promisedMethods].sort());
  });

  test.each(all)('%s says what it does, who may call it and what it may meet', (_name, declared) => {
    expect(declared.summary).toMatch(/^[A-Z].*\.$/);
    expect(roles).toContain(declared.role);
    expect(new Set(declared.faults).size).toBe(declared.faults.length);
    const implied: readonly FaultName[] = declared.needs === 'slot' ? boundFaults : [];
    expect(declared.faults.filter((name) => implied.includes(name))).toEqual([]);
    expect(['INVALID_PARAMS', 'INTERNAL'].filter((name) => declared.faults.some((own) => own === name))).toEqual([]);
  });

  test('are found by their own names only', () => {
    expect(methodNamed('exec.run')).toBe(methods['exec.run']);
    expect(notificationNamed('exec.exit')).toBe(notifications['exec.exit']);
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'exec']) {
      expect(methodNamed(name), name).toBeUndefined();
      expect(notificationNamed(name), name).toBeUndefined();
    }
  });

  test('that change a slot are not for viewers', () => {
    const reading = new Set(['server', 'rpc', 'watch', 'cast']);
    const forViewers = all.filter(([, { role }]) => role === 'viewer').map(([name]) => name);
    const others = forViewers.filter((name) => !reading.has(name.split('.')[0] ?? ''));
    expect(others.sort()).toEqual(['slot.info', 'slot.list']);
  });

  test('name common faults that are in the catalog', () => {
    for (const name of [...commonFaults, ...boundFaults]) expect(faults).toHaveProperty(name);
  });
});

type JsonType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';
const samples: Readonly<Record<JsonType, readonly unknown[]>> = {
  null: [null],
  boolean: [true],
  number: [12, -1.5],
  string: ['', 'text'],
  array: [[], [[1]]],
  object: [{}, { a: { b: 1 } }],
};

/** The JSON types that a schema takes in. */
function typesOf(schema: z.core.JSONSchema.BaseSchema): readonly string[] {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.flatMap((choice) => typesOf(choice as z.core.JSONSchema.BaseSchema));
  return [schema.type ?? []].flat().map((type) => (type === 'integer' ? 'number' : type));
}

const wrongFor = (types: readonly string[]): readonly unknown[] =>
  Object.entries(samples).flatMap(([type, values]) => (types.includes(type) ? [] : values));

/** Every param of every method with what it takes. */
const params = all.flatMap(([name, declared]) => {
  const schema = z.toJSONSchema(declared.params, { io: 'input' });
  return Object.entries(schema.properties ?? {}).map(([param, property]) => ({
    name,
    param,
    declared,
    types: typesOf(property as z.core.JSONSchema.BaseSchema),
    required: schema.required?.includes(param) ?? false,
  }));
});

/** The params that the error is about. */
const blamed = (declared: Method, given: unknown): readonly PropertyKey[] => {
  const { error } = declared.params.safeParse(given);
  return (error?.issues ?? []).map(({ path }) => path[0] ?? '');
};

describe('params', () => {
  test.each(all)('of %s are an object and nothing else', (_name, declared) => {
    for (const given of [null, 12, 'text', true, [], [{}]]) {
      expect(declared.params.safeParse(given).success, JSON.stringify(given)).toBe(false);
    }
  });

  test.each(all)('of %s that it does not know are refused', (_name, declared) => {
    const { error } = declared.params.safeParse({ unheardOf: 1 });
    expect(error?.issues).toContainEqual(expect.objectContaining({ code: 'unrecognized_keys', keys: ['unheardOf'] }));
  });

  test('are there to be tested, each with a type', () => {
    expect(params.length).toBeGreaterThan(60);
    for (const { name, param, types } of params) expect(types, `${name} ${param}`).not.toEqual([]);
  });

  test.each(params)('$name refuses a $param of any other type', ({ declared, param, types }) => {
    for (const value of wrongFor(types)) {
      expect(blamed(declared, { [param]: value }), JSON.stringify(value)).toContain(param);
    }
  });

  test.each(params.filter(({ required }) => required))('$name refuses to go without $param', ({ declared, param }) => {
    expect(blamed(declared, {})).toContain(param);
  });

  test('of numbers refuse what JSON can say and a number can not be', () => {
    const numbers = params.filter(({ types }) => types.length === 1 && types[0] === 'number');
    for (const { declared, param, name } of numbers) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(blamed(declared, { [param]: value }), `${name} ${param} ${value}`).toContain(param);
      }
    }
  });
});
