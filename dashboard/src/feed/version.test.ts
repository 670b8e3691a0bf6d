import { expect, test } from 'vitest';
import { scriptOf } from './version';

test('the script of a page is found, and of something else is none', () => {
  expect(scriptOf('<link href="a.css"><script type="module" blocking="render" crossorigin src="./assets/index-B1.js"></script>')).toBe('./assets/index-B1.js');
  expect(scriptOf('<p>not built</p>')).toBeNull();
});
