import { expect, test } from 'vitest';
import { methods, notifications } from '../../../protocol/contract.ts';
import { faults } from '../../../protocol/fault.ts';
import { openRpc } from '../../../protocol/openrpc.ts';

const document = openRpc('1.2.3');
const method = (name: string) => {
  const found = document.methods.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
};
const param = (name: string, of: string) => method(name).params.find((candidate) => candidate.name === of);

test('the document names every method, notification and fault, and the version it was asked for', () => {
  expect(document).toMatchObject({ openrpc: '1.3.2', info: { title: 'slotcast', version: '1.2.3' } });
  expect(document.methods.map(({ name }) => name)).toEqual(Object.keys(methods));
  expect(document['x-notifications'].map(({ name }) => name)).toEqual(Object.keys(notifications));
  expect(Object.keys(document.components.errors)).toEqual(Object.keys(faults));
});

test('it is plain JSON', () => {
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
});

test('params are those that a client sends, with defaults, bounds and descriptions', () => {
  expect(param('exec.run', 'timeoutMs')).toEqual({
    name: 'timeoutMs',
    description: '0 = none',
    required: false,
    schema: { type: 'integer', default: 30_000, minimum: 0, maximum: 2_073_600_000 },
  });
  expect(param('terminal.resize', 'cols')).toEqual({ name: 'cols', required: true, schema: { type: 'number' } });
  expect(param('exec.signal', 'signal')?.schema).toEqual({ type: ['string', 'integer'] });
});

test('results are those that a client gets', () => {
  const { schema } = method('slot.info').result;
  expect(schema.properties?.['terminal']).toMatchObject({
    anyOf: [{ properties: { cols: { type: 'integer' } } }, { type: 'null' }],
  });
});

test('results and notifications may gain fields', () => {
  const sent = [document.methods.map(({ result }) => result), document['x-notifications']];
  expect(JSON.stringify(sent)).not.toContain('"additionalProperties":false');
});

test('rules between params are told', () => {
  expect(method('exec.run')['x-rules']).toEqual(['give either command or argv']);
  expect(method('slot.list')).not.toHaveProperty('x-rules');
});

test('a method points at the faults that it may meet: its own, those of a bound slot, those of every call', () => {
  const faultsOf = (name: string) => method(name).errors.map(({ $ref }) => $ref);
  expect(faultsOf('exec.write')).toEqual(
    expect.arrayContaining(
      ['STDIN_CLOSED', 'NOT_BOUND', 'LEASE_LOST', 'INVALID_PARAMS'].map((name) => `#/components/errors/${name}`),
    ),
  );
  expect(faultsOf('slot.list')).not.toContain('#/components/errors/NOT_BOUND');
  for (const { name } of document.methods) expect(new Set(faultsOf(name)).size).toBe(faultsOf(name).length);
});

test('a method tells its role and whether it needs a slot', () => {
  expect(method('watch.start')).toMatchObject({ 'x-role': 'viewer', 'x-needs': 'nothing' });
  expect(method('terminal.run')).toMatchObject({ 'x-role': 'agent', 'x-needs': 'slot' });
});

test('an error has the code and HTTP status of the catalog', () => {
  expect(document.components.errors.SLOT_BUSY).toEqual({
    code: 2002,
    message: faults.SLOT_BUSY.meaning,
    data: { name: 'SLOT_BUSY', retry: 'after' },
    'x-http': 409,
  });
});
