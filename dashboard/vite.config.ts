// Builds the page into dist/, which the `bascule` binary embeds. `npm run dev` plays the mock, or
// relays to a real dashboard when BASCULE_DASHBOARD_URL names one.

import { brotliCompressSync, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';
import type { Plugin } from 'vite';

const real = process.env['BASCULE_DASHBOARD_URL'];

function mock(): Plugin {
  return {
    name: 'bascule-mock',
    apply: 'serve',
    async configureServer(server) {
      if (real !== undefined || process.env['VITEST'] !== undefined) return;
      const { createMock } = await import('./mock/server.mjs');
      const played = createMock({ scenario: process.env['MOCK_SCENARIO'] ?? 'outage' });
      server.middlewares.use((request, response, next) => {
        if (!played.handle(request, response)) next();
      });
      server.httpServer?.on('upgrade', (request, socket, head) => played.upgrade(request, socket, head));
      server.httpServer?.on('close', () => played.stop());
    },
  };
}

/** Nothing is painted before the theme is known; without this the wrong background flashes. */
function paintWhenReady(): Plugin {
  return {
    name: 'bascule-paint-when-ready',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (html) => html.replace('<script type="module" ', '<script type="module" blocking="render" '),
    },
  };
}

/** Leaves the larger files compressed beside themselves; the dashboard server sends those. */
function compress(): Plugin {
  return {
    name: 'bascule-compress',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (!/\.(js|css)$/.test(file.fileName)) continue;
          const content = Buffer.from(file.type === 'chunk' ? file.code : file.source);
          this.emitFile({ type: 'asset', fileName: `${file.fileName}.br`, source: brotliCompressSync(content) });
          this.emitFile({ type: 'asset', fileName: `${file.fileName}.gz`, source: gzipSync(content, { level: 9 }) });
        }
      },
    },
  };
}

/** To a real dashboard server, as if the page came from there: it refuses changes from other origins. */
function relay(target: string | undefined) {
  if (target === undefined) return {};
  return { proxy: { '/api': { target, ws: true, changeOrigin: true, headers: { origin: target } } } };
}

export default defineConfig({
  base: './',
  plugins: [mock(), paintWhenReady(), compress()],
  // One file for all: the page is small, and fewer requests are fewer things to fail.
  build: {
    target: 'es2022',
    // `light-dark()` stays as written; all browsers of the last two years know it.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The CSP allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    port: Number(process.env['DASHBOARD_PORT'] ?? 5173),
    ...relay(real),
  },
  preview: { host: '127.0.0.1', ...relay(real) },
  test: { include: ['src/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
