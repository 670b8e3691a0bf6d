// Holds the built page to its budget: at most 80 KiB of script and style as they are sent (brotli,
// beside gzip for whoever takes no other), everything its own, nothing inline that the content security policy would refuse; and a lock file without hosts.

import { readdirSync, readFileSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const root = new URL('..', import.meta.url).pathname;
const dist = join(root, 'dist');
const BUDGET_BYTES = 80 * 1024;
/** Names of XML vocabularies; nobody fetches them. */
const VOCABULARIES = /https?:\/\/www\.w3\.org\/[\w/.#-]*/g;

const problems = [];
if (!existsSync(join(dist, 'index.html'))) {
  console.error('dashboard/dist/index.html is missing; run `npm run build` first');
  process.exit(1);
}

const assets = readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`);
let total = 0;
for (const name of assets.filter((it) => /\.(js|css)$/.test(it))) {
  if (!assets.includes(`${name}.br`) || !assets.includes(`${name}.gz`)) {
    problems.push(`${name} is not there compressed`);
    continue;
  }
  const sent = readFileSync(join(dist, `${name}.br`));
  if (!brotliDecompressSync(sent).equals(readFileSync(join(dist, name)))) problems.push(`${name}.br holds something else than ${name}`);
  total += sent.length;
  const kib = (bytes) => (bytes / 1024).toFixed(1).padStart(6);
  console.log(`${kib(sent.length)} KiB brotli, ${kib(statSync(join(dist, `${name}.gz`)).size)} KiB gzip  ${name}`);
}
console.log(`${(total / 1024).toFixed(1).padStart(6)} KiB brotli in all, of ${BUDGET_BYTES / 1024} KiB`);
if (total > BUDGET_BYTES) problems.push(`${total} bytes are more than the budget of ${BUDGET_BYTES}`);

for (const name of ['index.html', ...assets.filter((it) => !/\.(br|gz)$/.test(it))]) {
  const text = readFileSync(join(dist, name), 'utf8').replace(VOCABULARIES, '');
  const outside = /(?:https?:)?\/\/[a-z0-9-]+\.[a-z]{2,}/i.exec(text);
  if (outside !== null) problems.push(`${name} names ${outside[0]}; the page asks nobody but its own server`);
  if (/url\(["']?data:/.test(text)) problems.push(`${name} holds a data: URL, which the content security policy refuses`);
}

const html = readFileSync(join(dist, 'index.html'), 'utf8');
if (/<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=/i.test(html)) {
  problems.push('index.html has an inline script or style, which the content security policy refuses');
}

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
for (const [name, entry] of Object.entries(lock.packages)) {
  if (entry.resolved !== undefined) problems.push(`package-lock.json: ${name} names a registry host; install with the .npmrc beside it`);
}

for (const problem of problems) console.error(`error: ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
