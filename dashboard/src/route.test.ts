import { expect, test } from 'vitest';
import { incidentHref, parseRoute, poolHref } from './route';

test('an address names its screen, whatever is chosen on it', () => {
  expect(parseRoute('')).toEqual({ page: 'overview', pool: null });
  expect(parseRoute('#/pool/api?range=1h')).toEqual({ page: 'overview', pool: 'api' });
  expect(parseRoute('#/incident/api-7?q=a/b')).toEqual({ page: 'incident', id: 'api-7' });
  expect(parseRoute('#/logs?level=warn')).toEqual({ page: 'logs' });
});

test('names survive the way into an address and back', () => {
  expect(parseRoute(poolHref('a/b ?#'))).toEqual({ page: 'overview', pool: 'a/b ?#' });
  expect(parseRoute(incidentHref('ä-1'))).toEqual({ page: 'incident', id: 'ä-1' });
  expect(parseRoute('#/pool/%E0')).toEqual({ page: 'overview', pool: null });
});
