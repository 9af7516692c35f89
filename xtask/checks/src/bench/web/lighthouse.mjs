// Has Lighthouse look at the gallery of a user who is signed in. Arguments: the folder of Lighthouse; the folder of the UI, whose
// Playwright is used; the service's origin; the token of a session; the browser's program; and a free port. Prints the scores in JSON.

import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [tool, folder, origin, token, executablePath, port] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, 'package.json'))('@playwright/test');
const load = async (path) => (await import(pathToFileURL(join(tool, 'node_modules/lighthouse', path)).href)).default;
const [lighthouse, desktop] = [await load('core/index.js'), await load('core/config/desktop-config.js')];

const profile = await mkdtemp(join(tmpdir(), 'lighthouse-'));
const args = [`--remote-debugging-port=${port}`, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])];
const context = await chromium.launchPersistentContext(profile, { executablePath, args });
try {
  const page = await context.newPage();
  await page.goto(origin);
  await page.evaluate((session) => localStorage.setItem('session', session), JSON.stringify({ token, expires_at: '2999-01-01T00:00:00Z' }));
  await page.close();
  const options = {
    port: Number(port),
    output: 'json',
    logLevel: 'error',
    // It would sign the user out.
    disableStorageReset: true,
    onlyCategories: ['performance', 'accessibility', 'best-practices'],
  };
  const { lhr } = await lighthouse(`${origin}/`, options, desktop);
  if (lhr.runtimeError) throw new Error(lhr.runtimeError.message);
  const poor = Object.values(lhr.audits).filter(({ score, scoreDisplayMode }) => score !== null && score < 0.9 && scoreDisplayMode !== 'informative');
  console.log(
    JSON.stringify({
      scores: Object.fromEntries(Object.entries(lhr.categories).map(([name, { score }]) => [name, Math.round((score ?? 0) * 100)])),
      first_paint_seconds: lhr.audits['first-contentful-paint'].numericValue / 1000,
      largest_paint_seconds: lhr.audits['largest-contentful-paint'].numericValue / 1000,
      poor: poor.map(({ id, displayValue }) => (displayValue ? `${id}: ${displayValue}` : id)),
    }),
  );
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
