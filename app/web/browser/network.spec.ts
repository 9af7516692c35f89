import type { Route } from '@playwright/test';
import { expect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { PASSWORD } from './support/service.ts';

test('an upload survives a cut network and a reload, and ends once', async ({ page, service, token, context }) => {
  await page.goto(service.origin);
  const [path = ''] = await draw(page, 1, [3000, 2000]);
  // The service sees that the upload begins, but gets no byte of it.
  await page.route('**/api/uploads/*', (route) => route.abort('connectionreset'));
  const created = page.waitForResponse((response) => response.url().endsWith('/api/uploads'));
  await page.locator('input[type=file]').first().setInputFiles(path);
  await created;
  await context.setOffline(true);
  await expect(page.getByText('You are offline')).toBeVisible();
  await context.setOffline(false);
  await page.reload();
  await expect(page.getByText('Uploading 1 file')).toBeVisible();
  // The same upload goes on: no second one is created.
  const creations: string[] = [];
  page.on('request', (request) => request.method() === 'POST' && creations.push(request.url()));
  await page.unroute('**/api/uploads/*');
  await page.reload();
  await expect(page.getByText('1 file is uploaded')).toBeVisible();
  expect(creations.filter((url) => url.endsWith('/api/uploads'))).toEqual([]);
  const { items } = await service.call<{ items: unknown[] }>('GET', '/api/media', undefined, token);
  expect(items).toHaveLength(1);
  await page.reload();
  await expect(page.getByRole('listitem')).toHaveCount(1);
  await expect(page.getByRole('region', { name: 'Uploads' })).toHaveCount(0);
});

test('an upload goes on by itself when the service has gone and comes back, over a slow network', async ({ page, service, token, context }) => {
  await page.goto(service.origin);
  const [path = ''] = await draw(page, 1, [3000, 2000]);
  const client = await context.newCDPSession(page);
  const rate = (bytes: number): Promise<unknown> =>
    client.send('Network.emulateNetworkConditions', { offline: false, latency: 100, downloadThroughput: -1, uploadThroughput: bytes });
  await rate(60_000);
  const uploads: string[] = [];
  page.on('request', (request) => request.url().endsWith('/api/uploads') && uploads.push(request.method()));
  await page.locator('input[type=file]').first().setInputFiles(path);
  const bar = page.getByRole('progressbar');
  await expect.poll(async () => Number(await bar.getAttribute('value'))).toBeGreaterThan(0.2);
  await service.kill();
  await expect(page.getByText('The service cannot be reached. Trying again…')).toBeVisible();
  await service.go();
  await rate(-1);
  await expect(page.getByText('1 file is uploaded')).toBeVisible();
  expect(uploads).toEqual(['POST']);
  const { items } = await service.call<{ items: { width: number; status: string }[] }>('GET', '/api/media', undefined, token);
  expect(items).toMatchObject([{ width: 3000, status: 'ready' }]);
});

test('a session that ends in mid-upload asks to sign in, and the upload goes on', async ({ page, service, token }) => {
  await page.goto(service.origin);
  const [path = ''] = await draw(page, 1);
  const endFirst = async (route: Route): Promise<void> => {
    await service.call('POST', '/api/auth/logout', undefined, token);
    await route.continue();
  };
  await page.route('**/api/uploads', endFirst, { times: 1 });
  await page.locator('input[type=file]').first().setInputFiles(path);
  await expect(page.getByText('Your session has ended')).toBeVisible();
  await page.getByLabel('User name').fill('anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('1 file is uploaded')).toBeVisible();
});

test('a change of somebody else is shown, not overwritten', async ({ page, service, token }) => {
  // The service says so when the change is to be saved; nothing has told of it before.
  await page.route('**/api/events', (route) => route.abort());
  await page.goto(service.origin);
  const [path = ''] = await draw(page, 1);
  const id = await upload(service, token, path);
  await page.goto(`${service.origin}/m/${id}`);
  await page.getByRole('button', { name: 'Details' }).click();
  const name = page.getByLabel('Name', { exact: true });
  await expect(name).toHaveValue('picture-1.jpg');
  await service.call('PATCH', `/api/media/${id}`, { name: 'theirs.jpg' }, token);
  await name.fill('mine.jpg');
  await name.press('Enter');
  await expect(page.getByText('Now: theirs.jpg')).toBeVisible();
  await expect(page.getByText('Yours: mine.jpg')).toBeVisible();
  expect(await service.call('GET', `/api/media/${id}`, undefined, token)).toMatchObject({ name: 'theirs.jpg' });
  await page.getByRole('button', { name: 'Use mine' }).click();
  await expect(page.getByRole('dialog', { name: 'mine.jpg' })).toBeVisible();
  expect(await service.call('GET', `/api/media/${id}`, undefined, token)).toMatchObject({ name: 'mine.jpg' });
});

test('a failing service is told with the way to try again', async ({ page, service, token }) => {
  await page.route('**/api/media?*', (route) => route.abort('connectionrefused'));
  await page.goto(service.origin);
  await expect(page.getByText('The service cannot be reached.')).toBeVisible();
  await page.unroute('**/api/media?*');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  expect(token).not.toBe('');
});
