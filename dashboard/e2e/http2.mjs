// A browser that speaks HTTP/2 with a proxy, for `loadtest/hostile`: says on standard output what it
// has done, one line of JSON for each step, and ends with 1 if anything failed.
//
// usage: node e2e/http2.mjs URL     URL/page is a page, URL/events a stream of 20 events, the rest a
//                                   demo backend; a backend may be killed when "busy" is said

import { chromium } from 'playwright-core';
import { FLAGS } from './browser.mjs';

const url = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [...FLAGS, '--ignore-certificate-errors'],
});
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();
let isGood = true;

async function step(name, act, argument) {
  const seen = await page.evaluate(act, argument).catch((error) => ({ failed: 1, error: String(error) }));
  isGood &&= seen.failed === 0;
  console.log(JSON.stringify({ name, ...seen }));
}

await page.goto(`${url}/page`);

await step('parallel', async () => {
  const asked = Array.from({ length: 100 }, (_, number) => fetch(`/api/data?n=${number}`).then((it) => it.ok, () => false));
  const failed = (await Promise.all(asked)).filter((it) => !it).length;
  // The browser notes a resource some time after it is there.
  const end = performance.now() + 5000;
  let entries = performance.getEntriesByType('resource');
  while (entries.length < asked.length && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    entries = performance.getEntriesByType('resource');
  }
  const others = entries.filter((it) => it.nextHopProtocol !== 'h2').length;
  return { asked: asked.length, failed: failed + others, http2: entries.length - others };
});

await step('upload', async () => {
  const body = new Uint8Array(20 << 20);
  const answer = await fetch('/blob?size=10', { method: 'POST', body });
  await answer.text();
  return { bytes: body.length, failed: answer.ok ? 0 : 1 };
});

await step('events', () => new Promise((resolve) => {
  const source = new EventSource('/events');
  let events = 0;
  const end = (failed) => {
    source.close();
    resolve({ events, failed });
  };
  source.onmessage = () => {
    events += 1;
    if (events === 20) end(0);
  };
  source.onerror = () => end(1);
}));

await step('websocket', () => new Promise((resolve) => {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  let echoed = 0;
  socket.onopen = () => socket.send('0');
  socket.onmessage = ({ data }) => {
    echoed += data === String(echoed) ? 1 : 0;
    if (echoed === 20) socket.close(1000);
    else socket.send(String(echoed));
  };
  socket.onerror = () => resolve({ echoed, failed: 1 });
  socket.onclose = ({ wasClean }) => resolve({ echoed, failed: wasClean && echoed === 20 ? 0 : 1 });
}));

console.log(JSON.stringify({ name: 'busy' }));
await step('outage', async (milliseconds) => {
  const end = performance.now() + milliseconds;
  let asked = 0;
  let failed = 0;
  const ask = async () => {
    while (performance.now() < end) {
      asked += 1;
      const isFine = await fetch('/api/data').then((it) => it.ok, () => false);
      failed += isFine ? 0 : 1;
    }
  };
  await Promise.all(Array.from({ length: 8 }, ask));
  return { asked, failed };
}, 4000);

await browser.close();
process.exit(isGood ? 0 : 1);
