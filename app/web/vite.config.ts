import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';
import { precompress } from './precompress.ts';

// The service that `npm run dev` talks to.
const service = process.env['SERVICE_URL'] ?? 'http://127.0.0.1:3000';

export default defineConfig({
  plugins: [svelte(), svelteTesting({ autoCleanup: false }), precompress()],
  server: { proxy: { '/api': service } },
  // The policy of the page admits no inlined assets.
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: ['index.html', 'src/sw.ts'],
      // A browser asks for the service worker by its name, again and again.
      output: { entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
  test: { environment: 'jsdom', include: ['tests/**/*.test.ts'] },
});
