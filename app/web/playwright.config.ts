import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'browser',
  outputDir: 'test-results',
  fullyParallel: true,
  workers: 2,
  forbidOnly: true,
  // In CI, what failed beside other journeys is run once more; the reporter calls it flaky if it passes then.
  retries: process.env['CI'] === undefined ? 0 : 1,
  // Generous, for busy machines: a test ends as soon as what it waits for is there.
  timeout: 300_000,
  expect: { timeout: 100_000 },
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    colorScheme: 'light',
    trace: 'off',
    launchOptions: {
      // The packaged browser, of the same machine that a user of it has.
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      // Root, as in a container, has no sandbox.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
  },
});
