import { expect, test } from 'vitest';
import { backend, pool, SECONDARY } from '../fixtures';
import { parseRoute } from '../route';
import { consequence, failRequest } from './failing';
import { faultCommand } from './ordering';

const choice = { mode: 'slow', length: '30s', scope: 'all', percent: 100, delay: '3s', status: 503 } as const;

test('only what the mode has a use for is sent', () => {
  expect(failRequest('api', 'primary', { ...choice, mode: 'crash' })).toEqual({ pool: 'api', backend: 'primary', mode: 'crash' });
  expect(failRequest('api', 'primary', { ...choice, mode: 'hang' })).toEqual({ pool: 'api', backend: 'primary', mode: 'hang', for: '30s' });
  expect(failRequest('api', 'primary', choice)).toEqual({ pool: 'api', backend: 'primary', mode: 'slow', for: '30s', delay: '3s' });
  const partial = { ...choice, scope: 'checks', percent: 10 } as const;
  expect(failRequest('api', 'primary', { ...partial, mode: 'crash' })).toEqual({ pool: 'api', backend: 'primary', mode: 'crash' });
  expect(failRequest('api', 'primary', { ...partial, mode: 'blackhole' })).toEqual({
    pool: 'api',
    backend: 'primary',
    mode: 'blackhole',
    for: '30s',
    scope: 'checks',
    percent: 10,
  });
  expect(failRequest('api', 'primary', { ...choice, mode: 'error', status: 429 })).toMatchObject({ mode: 'error', status: 429 });
  expect(faultCommand(failRequest('api', 'primary', { ...choice, mode: 'crash' }))).toBe('bascule fault inject api/primary --mode crash');
  expect(faultCommand(failRequest('my api', 'primary', { ...partial, mode: 'slow', percent: 50 }))).toBe(
    "bascule fault inject 'my api/primary' --mode slow --for 30s --scope checks --percent 50 --delay 3s",
  );
});

test('the consequence names who takes over, or that nobody can', () => {
  expect(consequence(pool(), backend(), choice)).toEqual({
    costly: false,
    text: 'Traffic of api moves to secondary (tier 1). Requests caught by the failure are retried where that is safe. The fault ends by itself after 30\u00a0s.',
  });
  expect(consequence(pool(), backend(), { ...choice, percent: 10 }).text).toContain('If that takes primary out, traffic of api moves');
  const alone = pool({ backends: [backend(), backend({ ...SECONDARY, eligible: false })] });
  expect(consequence(alone, backend(), choice).costly).toBe(true);
  expect(consequence(alone, backend(), choice).text).toContain('requests will be lost until primary recovers');
  expect(consequence(pool(), backend(SECONDARY), choice).text).toContain('no traffic moves');
});

test('addresses are read, and odd ones lead to the overview', () => {
  expect(parseRoute('')).toEqual({ page: 'overview', pool: null });
  expect(parseRoute('#/pool/a%20b')).toEqual({ page: 'overview', pool: 'a b' });
  expect(parseRoute('#/incident/api-3')).toEqual({ page: 'incident', id: 'api-3' });
  expect(parseRoute('#/incident/')).toEqual({ page: 'overview', pool: null });
  expect(parseRoute('#/incident/%E0%A4%A')).toEqual({ page: 'overview', pool: null });
});
