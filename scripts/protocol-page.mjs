// The protocol as a page to read: Markdown made from the OpenRPC document. Pure; the chapters on transport are written by hand in docs/protocol.head.md.

/** The whole page. `head` is the hand-written part. */
export function protocolPage(document, head) {
  const namespaces = [...new Set(document.methods.map(({ name }) => namespaceOf(name)))];
  return [
    '<!-- Made by `npm run docs` from protocol/*.ts and docs/protocol.head.md. Change those. -->',
    head.trim(),
    '## Methods',
    '`?` marks what may be left out, and so does a default. Unknown params are refused. Results may gain fields.',
    `Any call may meet ${list(commonFaultsOf(document))}; a call that needs a slot also ${list(boundFaultsOf(document))}. Further ones stand with each method.`,
    ...namespaces.flatMap((namespace) => namespaceChapter(document, namespace)),
    '## Notifications',
    'From the server, without an id.',
    ...document['x-notifications'].flatMap(notificationChapter),
    '## Faults',
    '`error.data` holds `name` and `retry`: whether sending the same call again can help: `no`, `yes` (at once), `after` (something changed, see the message).',
    faultTable(document.components.errors),
    '',
  ].join('\n\n');
}

const namespaceOf = (name) => name.split('.')[0];
const list = (names) => names.map((name) => `[${name}](#faults)`).join(', ');
const faultsOf = (method) => method.errors.map(({ $ref }) => $ref.split('/').at(-1));
const needsSlot = (method) => method['x-needs'] === 'slot';

/** Faults that every method names. */
function commonFaultsOf({ methods }) {
  return faultsOf(methods[0]).filter((fault) => methods.every((method) => faultsOf(method).includes(fault)));
}

/** Faults that every method on a slot names, without the common ones. */
function boundFaultsOf(document) {
  const bound = document.methods.filter(needsSlot);
  const common = commonFaultsOf(document);
  return faultsOf(bound[0]).filter(
    (fault) => !common.includes(fault) && bound.every((method) => faultsOf(method).includes(fault)),
  );
}

function namespaceChapter(document, namespace) {
  const methods = document.methods.filter(({ name }) => namespaceOf(name) === namespace);
  const rows = methods.map((method) => [`[${method.name}](#${anchor(method.name)})`, method['x-role'], method.summary]);
  return [
    `### ${namespace}`,
    table(['method', 'role', 'what it does'], rows),
    ...methods.flatMap((method) => methodChapter(document, method)),
  ];
}

const anchor = (name) => name.toLowerCase().replaceAll('.', '');

function methodChapter(document, method) {
  const everywhere = [...commonFaultsOf(document), ...(needsSlot(method) ? boundFaultsOf(document) : [])];
  const own = faultsOf(method).filter((fault) => !everywhere.includes(fault));
  const rules = (method['x-rules'] ?? []).map((rule) => `Rule: ${rule}.`);
  return [
    `#### ${method.name}`,
    method.summary,
    `Role ${method['x-role']}; ${needsSlot(method) ? 'needs a bound slot' : 'needs no slot'}.`,
    method.params.length === 0 ? 'No params.' : fieldTable('param', method.params),
    ...rules,
    resultPart(method.result.schema),
    ...(own.length === 0 ? [] : [`Faults: ${list(own)}.`]),
  ];
}

function notificationChapter({ name, summary, params }) {
  return [`#### ${name}`, summary, fieldTable('param', params)];
}

function resultPart(schema) {
  const fields = fieldsOf(schema);
  if (fields.length > 0) return `Result:\n\n${fieldTable('field', fields)}`;
  return schema.properties === undefined ? `Result: ${code(typeOf(schema))}.` : 'Result: `{}`.';
}

function fieldsOf({ properties = {}, required = [] }) {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    description: schema.description,
    required: required.includes(name),
    schema,
  }));
}

function fieldTable(title, fields) {
  const columns = [
    [title, ({ name, required, schema }) => code(required || schema.default !== undefined ? name : `${name}?`)],
    ['type', ({ schema }) => code(typeOf(schema))],
    ['default', ({ schema }) => defaultOf(schema)],
    ['meaning', ({ description }) => description ?? ''],
  ];
  const told = columns.filter(([, cell]) => fields.some((field) => cell(field) !== ''));
  return table(
    told.map(([name]) => name),
    fields.map((field) => told.map(([, cell]) => cell(field))),
  );
}

function defaultOf(schema) {
  if (schema.default === undefined) return '';
  return schema.default === Number.MAX_SAFE_INTEGER ? 'none' : code(JSON.stringify(schema.default));
}

/** A JSON Schema in the notation of TypeScript, near enough to read. */
function typeOf(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.map(typeOf).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type })).join(' | ');
  if (schema.type === 'array') return arrayType(schema);
  if (schema.type === 'object') return objectType(schema);
  if (schema.type === 'integer' || schema.type === 'number') return `${schema.type}${range(schema)}`;
  return schema.type ?? 'any';
}

function arrayType({ items = {} }) {
  if (Array.isArray(items)) return `[${items.map(typeOf).join(', ')}]`;
  const item = typeOf(items);
  const isUnion = items.type !== 'object' && item.includes(' | ');
  return isUnion ? `(${item})[]` : `${item}[]`;
}

function objectType(schema) {
  if (schema.properties === undefined) {
    const values = typeof schema.additionalProperties === 'object' ? typeOf(schema.additionalProperties) : 'any';
    return `{ [name: string]: ${values} }`;
  }
  const fields = fieldsOf(schema).map(
    ({ name, required, schema }) => `${name}${required ? '' : '?'}: ${typeOf(schema)}`,
  );
  return `{ ${fields.join(', ')} }`;
}

function range({ minimum, maximum }) {
  const top = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum === undefined && top === undefined) return '';
  if (top === undefined) return ` ≥ ${minimum}`;
  return minimum === undefined ? ` ≤ ${top}` : ` ${minimum}…${top}`;
}

function faultTable(errors) {
  const rows = Object.entries(errors).map(([name, { code: number, message, data, 'x-http': http }]) => [
    String(number).replace('-', '−'),
    name,
    String(http),
    data.retry,
    message,
  ]);
  return table(['code', 'name', 'HTTP', 'retry', 'meaning'], rows);
}

const code = (text) => `\`${text}\``;

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
