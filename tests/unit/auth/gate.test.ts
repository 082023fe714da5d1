// The gate: guessing is held back, who is known gets in meanwhile, and tickets work once.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Attempts } from '../../../server/auth/attempt.ts';
import { Gate, requireRole } from '../../../server/auth/gate.ts';
import { requireSlot } from '../../../server/auth/scope.ts';
import { PRINTED_TTL_MS, Tickets } from '../../../server/auth/ticket.ts';
import { type Admission, Tokens } from '../../../server/auth/token.ts';

let dataDir = '';
let tokens: Tokens;
let nowMs = 0;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'slotcast-gate-'));
  tokens = await Tokens.open({ dataDir });
  nowMs = 0;
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const gateWith = (given: Tokens | null): Gate =>
  new Gate({ tokens: given, origins: { allowed: [] }, attempts: new Attempts(() => nowMs) });
const bearer = (token: string, remoteAddress = '10.0.0.1') => ({
  headers: { authorization: `Bearer ${token}` },
  socket: { remoteAddress },
});

test('of a thousand guesses from one address most are not looked at, and other addresses are not held back', async () => {
  const gate = gateWith(tokens);
  const outcomes = new Map<string, number>();
  for (let guess = 0; guess < 1000; guess++) {
    const fault = await gate.admit(bearer(`guess-${guess}`)).catch((error) => error.fault);
    outcomes.set(fault, (outcomes.get(fault) ?? 0) + 1);
  }
  expect(outcomes).toEqual(
    new Map([
      ['UNAUTHENTICATED', 20],
      ['RATE_LIMITED', 980],
    ]),
  );
  await expect(gate.admit(bearer('x', '10.0.0.2'))).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
});

test('while an address is held back by a guesser, whoever has a token of the gateway gets in from it', async () => {
  const gate = gateWith(tokens);
  const { token, id } = await tokens.mint({ role: 'agent', slot: null, ttlMs: null });
  for (let guess = 0; guess < 20; guess++) await gate.admit(bearer('wrong')).catch(() => {});
  await expect(gate.admit(bearer(`${token}x`))).rejects.toMatchObject({ fault: 'RATE_LIMITED' });
  await expect(gate.admit(bearer(token))).resolves.toMatchObject({ role: 'agent' });
  await tokens.revoke(id);
  await expect(gate.admit(bearer(token))).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
});

test('while an address is held back a credential that the operator chose waits, unless it was shown before', async () => {
  const fixed = 'chosen-by-an-operator-so-it-may-be-guessed';
  const chosen = await Tokens.open({ dataDir, fixed });
  const gate = gateWith(chosen);
  for (let guess = 0; guess < 20; guess++) await gate.admit(bearer('wrong')).catch(() => {});
  await expect(gate.admit(bearer(fixed))).rejects.toMatchObject({ fault: 'RATE_LIMITED' });
  nowMs += 2000;
  await expect(gate.admit(bearer(fixed))).resolves.toMatchObject({ role: 'admin' });
  for (let guess = 0; guess < 20; guess++) await gate.admit(bearer('wrong')).catch(() => {});
  await expect(gate.admit(bearer(fixed))).resolves.toMatchObject({ role: 'admin' });
  await chosen.close();
});

test('without a credential nobody gets in, unless there are no tokens at all', async () => {
  const nobody = { headers: {}, socket: {} };
  await expect(gateWith(tokens).admit(nobody)).rejects.toMatchObject({ fault: 'UNAUTHENTICATED' });
  await expect(gateWith(null).admit(nobody)).resolves.toMatchObject({ role: 'admin', slot: null });
});

test('roles include those below them', () => {
  expect(() => requireRole('admin', 'agent', 'it')).not.toThrow();
  expect(() => requireRole('agent', 'agent', 'it')).not.toThrow();
  expect(() => requireRole('viewer', 'agent', 'it')).toThrow('needs the role agent');
});

test('a credential for one slot refuses every other in the same words, there or not', () => {
  const refusal = (slot: string): string => {
    try {
      requireSlot({ slot: 'slot_0', cast: null }, slot);
      return 'passed';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refusal('slot_1')).toBe(refusal('no-such-slot'));
  expect(refusal('slot_0')).toBe('passed');
});

test('a ticket works once and not for long', () => {
  const tickets = new Tickets(() => nowMs);
  const admission: Admission = { id: 'a', from: null, role: 'viewer', slot: null, cast: null, expiresAtMs: null };
  const ticket = tickets.mint(admission);
  expect(tickets.take(ticket)).toBe(admission);
  expect(tickets.take(ticket)).toBeNull();
  expect(tickets.take('made up')).toBeNull();
  const late = tickets.mint(admission);
  nowMs += 5 * 60_000 + 1;
  expect(tickets.take(late)).toBeNull();
  const printed = tickets.mint(admission, PRINTED_TTL_MS);
  nowMs += 14 * 60_000;
  expect(tickets.take(printed)).toBe(admission);
});

test('who asks for tickets without end takes them from nobody but himself', () => {
  const tickets = new Tickets(() => nowMs);
  const admin: Admission = { id: 'a', from: null, role: 'admin', slot: null, cast: null, expiresAtMs: null };
  const viewer: Admission = { ...admin, id: 'v', role: 'viewer', cast: 'cast_x' };
  const printed = tickets.mint(admin);
  const first = tickets.mint(viewer);
  for (let index = 0; index < 3000; index++) tickets.mint({ ...viewer, id: `session${index}`, from: 'v' });
  expect(tickets.take(first)).toBeNull();
  expect(tickets.take(printed)).toBe(admin);
  const later = tickets.mint(admin);
  expect(tickets.take(later)).toBe(admin);
});
