import AxeBuilder from '@axe-core/playwright';
import { expect, type Page, test as base } from '@playwright/test';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Bucket, VERSITYGW } from './bucket.ts';
import { Service } from './service.ts';

export { expect };

const REAL = ['wuffs-harvesters.lossy.webp', 'sharp-Portrait_2.jpg'];
const SCREENSHOTS = resolve(import.meta.dirname, '../../../../target/screenshots');

interface Fixtures {
  /** Where the service keeps media. */
  storage: 'folder' | 'bucket';
  /** More settings of the service. */
  settings: Record<string, string>;
  service: Service;
  /** The token of an admin who is signed in in the page. */
  token: string;
}

export const test = base.extend<Fixtures>({
  storage: ['folder', { option: true }],
  settings: [{}, { option: true }],
  service: async ({ storage, settings }, use, test) => {
    skipUnless(storage === 'folder' || VERSITYGW !== undefined, 'VERSITYGW names no S3 server');
    const bucket = storage === 'bucket' ? await Bucket.start() : null;
    const service = await Service.start({ ...bucket?.settings, ...settings });
    await use(service);
    // eslint-disable-next-line no-console -- It is the report of a failed test.
    if (test.status !== test.expectedStatus) console.error(service.log.slice(-30).join('\n'));
    await service.stop();
    await bucket?.stop();
  },
  token: async ({ service, page }, use) => {
    const token = await service.register();
    await signIn(page, token);
    await use(token);
  },
  page: async ({ page }, use) => {
    const problems = problemsOf(page);
    await use(page);
    expect(problems).toEqual([]);
  },
});

/** Skips the test if this machine lacks what it takes. The line is what `cargo xtask test` counts; with `CI=true` it fails then. */
export function skipUnless(has: boolean, reason: string): void {
  if (has) return;
  // eslint-disable-next-line no-console -- It is the report.
  console.log(`\nSKIPPED ${test.info().title}: ${reason}`);
  test.skip(true, reason);
}

/** Errors of a page, and what its policy forbids, from now on. In the page that a test gets, they fail it. */
export function problemsOf(page: Page): string[] {
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|CORS policy|\[svelte\]/.test(message.text())) problems.push(message.text());
  });
  return problems;
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.addInitScript((session) => {
    if (!localStorage.getItem('session')) localStorage.setItem('session', session);
  }, JSON.stringify({ token, expires_at: '2999-01-01T00:00:00Z' }));
}

/** Some of the real files that TEST_MEDIA_CASES has, if there is such a folder. */
export function realPictures(): string[] {
  const folder = process.env['TEST_MEDIA_CASES'] ?? '';
  return REAL.map((name) => resolve(folder, name)).filter((path) => folder !== '' && existsSync(path));
}

/** Uploads a file by the API. Returns its id. */
export async function upload(service: Service, token: string, path: string, name = basename(path)): Promise<string> {
  const form = new FormData();
  form.set('file', new Blob([await readFile(path)]), name);
  const headers = { authorization: `Bearer ${token}`, connection: 'close' };
  const response = await fetch(`${service.origin}/api/media`, { method: 'POST', headers, body: form });
  const body = (await response.json()) as { id: string };
  if (!response.ok) throw new Error(`${name}: ${JSON.stringify(body)}`);
  return body.id;
}

/** Takes screenshots of a page, light and dark, and finds no violation of accessibility in either. */
export async function inspect(page: Page, name: string): Promise<void> {
  // Pictures have faded in.
  await page.waitForFunction(() => document.getAnimations().every((animation) => animation.playState !== 'running'));
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}.png` });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
    expect(found, `${name}, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
}
