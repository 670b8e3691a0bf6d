import { expect, test } from 'vitest';
import type { AuditEntry } from '../wire/types';
import { changesOf, isWanted, whatWords, whoWords } from './trail';

const entry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  id: 1, at: '2026-03-12T09:03:13.012Z', request: 'POST /backends/api/a/drain', action: 'backend.drain', target: 'api/a', before: null, after: null,
  who: { kind: 'token', name: 'alice', address: '203.0.113.9', speaks_for: null, is_relayed: false },
  result: 'done', status: 200, code: null, reason: null, ...change,
});
const everything = { result: 'all', text: '', id: null } as const;

test('what was done is a sentence, what was refused is told by what was asked', () => {
  expect(whatWords(entry())).toBe('Drained api/a');
  expect(whatWords(entry({ action: 'configuration.reload', target: 'configuration' }))).toBe('Reloaded the configuration');
  expect(whatWords(entry({ action: 'new.thing', target: null }))).toBe('new.thing');
  const refused = { action: null, target: null, result: 'refused' } as const;
  expect(whatWords(entry({ ...refused, request: 'POST /backends/my%20api/a%2Fb/eject' }))).toBe('Wanted to eject my api/a/b');
  expect(whatWords(entry({ ...refused, request: 'POST /pools/api/failover' }))).toBe('Wanted a failover of api');
  expect(whatWords(entry({ ...refused, request: 'POST /nobody/%E0knows' }))).toBe('POST /nobody/%E0knows');
  expect(whatWords(entry({ ...refused, request: null }))).toBe('Unknown');
});

test('who it was is told by name, or by what they are known by', () => {
  const { who } = entry();
  expect(whoWords(entry())).toBe('alice');
  expect(whoWords(entry({ who: { ...who, name: null, kind: 'local' } }))).toBe('This machine');
  expect(whoWords(entry({ who: { ...who, name: null, kind: 'anonymous' } }))).toBe('Anonymous');
});

test('only what differs is shown, in words', () => {
  const before = { intent: 'enabled', weight: 100, is_eligible: true, held_tier: null };
  expect(changesOf(entry({ before, after: { ...before, intent: 'draining', is_eligible: false } }))).toEqual([
    { key: 'intent', before: 'enabled', after: 'draining' },
    { key: 'eligible', before: 'yes', after: 'no' },
  ]);
  expect(changesOf(entry({ before: null, after: { fault: { mode: 'hang', status: null, percent: 50 }, recovered: [] } }))).toEqual([
    { key: 'fault', before: 'none', after: 'mode hang, percent 50' },
  ]);
  expect(changesOf(entry({ before: 'x', after: 'y' }))).toEqual([{ key: 'value', before: 'x', after: 'y' }]);
  expect(changesOf(entry())).toEqual([]);
});

test('the list is filtered by result, by words in any order, and down to one entry', () => {
  const refused = entry({ id: 7, action: null, result: 'refused', code: 'last_eligible', reason: 'nobody else' });
  expect(isWanted(entry(), everything)).toBe(true);
  expect([isWanted(entry(), { ...everything, result: 'refused' }), isWanted(refused, { ...everything, result: 'refused' })]).toEqual([false, true]);
  expect([isWanted(entry({ result: 'failed' }), { ...everything, result: 'refused' }), isWanted(refused, { ...everything, result: 'done' })]).toEqual([true, false]);
  expect([isWanted(refused, { ...everything, text: 'LAST_eligible alice' }), isWanted(refused, { ...everything, text: 'bob' })]).toEqual([true, false]);
  expect([isWanted(refused, { ...everything, id: 7 }), isWanted(refused, { ...everything, id: 8 })]).toEqual([true, false]);
});
