import { readFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import { expect, inspect, test } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';

interface Manifest {
  icons: { src: string; sizes: string }[];
  share_target: { action: string };
}

/** Sends files to the share target, as the system's share sheet does: by a form of no page of the service. */
async function shareFiles(page: Page, origin: string, paths: string[]): Promise<void> {
  const files = await Promise.all(paths.map(async (path) => (await readFile(path)).toString('base64')));
  const elsewhere = 'http://another-app.test/';
  await page.route(elsewhere, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Another app</title>' }));
  await page.goto(elsewhere);
  const arrived = page.waitForURL(`${origin}/**`);
  await page.evaluate(
    ([action, files]) => {
      const form = document.createElement('form');
      Object.assign(form, { action, method: 'POST', enctype: 'multipart/form-data' });
      const input = document.createElement('input');
      Object.assign(input, { type: 'file', name: 'files', multiple: true });
      const transfer = new DataTransfer();
      for (const [number, base64] of files.entries()) {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        transfer.items.add(new File([bytes], `shared-${number + 1}.jpg`, { type: 'image/jpeg' }));
      }
      input.files = transfer.files;
      form.append(input);
      document.body.append(form);
      form.submit();
    },
    [`${origin}/share`, files] as [string, string[]],
  );
  await arrived;
}

test('the app can be installed, and what other apps share with it is uploaded once the user says so', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  await page.goto(service.origin);
  const paths = await draw(page, 3);
  const devtools = await page.context().newCDPSession(page);
  const { url, errors, data } = await devtools.send('Page.getAppManifest');
  expect([url, errors]).toEqual([`${service.origin}/app.webmanifest`, []]);
  const manifest = JSON.parse(data ?? '') as Manifest;
  expect(manifest.share_target.action).toBe('/share');
  for (const { src, sizes } of manifest.icons) {
    const response = await page.request.get(service.origin + src);
    expect(response.headers()['content-type']).toBe('image/png');
    // The width is in the first part of a PNG.
    expect(`${(await response.body()).readUInt32BE(16)}`).toBe(sizes.split('x')[0]);
  }
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito')).toEqual([]);

  // The worker is ready, and sees nothing of the page.
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration('/share'))?.active?.state === 'activated');
  expect(await page.evaluate(() => navigator.serviceWorker.controller)).toBeNull();

  await shareFiles(page, service.origin, paths.slice(0, 2));
  expect(page.url()).toBe(`${service.origin}/`);
  const dialog = page.getByRole('dialog', { name: 'Upload 2 files?' });
  await expect(dialog.getByText('shared-2.jpg')).toBeVisible();
  await inspect(page, 'offer');
  // Nothing is sent without a word of the user, also not after a reload.
  await page.keyboard.press('Escape');
  await page.reload();
  await expect(dialog).toBeVisible();
  const items = async (): Promise<unknown[]> => (await service.call<{ items: unknown[] }>('GET', '/api/media', undefined, token)).items;
  expect(await items()).toEqual([]);
  await dialog.getByRole('button', { name: 'Upload' }).click();
  await expect(page.getByText('2 files are uploaded')).toBeVisible();
  await expect(page.getByRole('link', { name: 'shared-1.jpg' }).first()).toBeVisible();
  expect(await items()).toHaveLength(2);

  await shareFiles(page, service.origin, paths.slice(2));
  await page.getByRole('dialog', { name: 'Upload 1 file?' }).getByRole('button', { name: 'Discard' }).click();
  await page.reload();
  await expect(page.getByRole('link', { name: 'shared-1.jpg' }).first()).toBeVisible();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  expect(await items()).toHaveLength(2);
});

test('what is shared by a user who is signed out waits for the sign-in', async ({ page, service }) => {
  const token = await service.register();
  await page.goto(service.origin);
  const paths = await draw(page, 1);
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration('/share'))?.active?.state === 'activated');
  await shareFiles(page, service.origin, paths);
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.evaluate((session) => localStorage.setItem('session', session), JSON.stringify({ token, expires_at: '2999-01-01T00:00:00Z' }));
  await page.goto(`${service.origin}/?offer=failed`);
  await expect(page.getByText('The browser has no room for what was shared.')).toBeVisible();
  await expect(page.getByRole('dialog', { name: 'Upload 1 file?' })).toBeVisible();
});
