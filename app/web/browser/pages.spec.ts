import { expect, inspect, realPictures, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import type { Page } from '@playwright/test';
import type { Service } from './support/service.ts';

/** A gallery of pictures, of which the first has a tag and a description. Returns its id. */
async function fill(page: Page, service: Service, token: string): Promise<string> {
  let first = '';
  for (const path of [...(await draw(page, 7)), ...realPictures()]) first = await upload(service, token, path);
  await service.call('PATCH', `/api/media/${first}`, { description: 'The view from the pier', tags: ['lake', 'summer'] }, token);
  return first;
}

const phone = { width: 390, height: 844 };

test('pages of those who are not signed in', async ({ page, service }) => {
  await page.goto(service.origin);
  await expect(page.getByRole('heading', { name: 'First start' })).toBeVisible();
  await inspect(page, 'first-start');
  await service.register();
  for (const [path, heading] of [
    ['login', 'Welcome back'],
    ['start', 'The first account exists'],
    ['register', 'You are invited'],
  ] as const) {
    await page.goto(`${service.origin}/${path}`);
    await expect(page.getByRole('heading', { name: heading })).toBeVisible();
    await inspect(page, path);
  }
  await page.setViewportSize(phone);
  await inspect(page, 'register-phone');
});

test('the gallery, the viewer and the trash', async ({ page, service, token }) => {
  await page.goto(service.origin);
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  await inspect(page, 'empty');
  const id = await fill(page, service, token);
  await page.reload();
  await expect(page.getByRole('link', { name: 'picture-7.jpg' })).toBeVisible();
  await inspect(page, 'gallery');
  await page.setViewportSize(phone);
  await inspect(page, 'gallery-phone');
  await page.goto(`${service.origin}/m/${id}`);
  await expect(page.getByRole('dialog')).toBeVisible();
  await inspect(page, 'viewer-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('button', { name: 'Details' }).click();
  await expect(page.getByLabel('Description')).toHaveValue('The view from the pier');
  await inspect(page, 'viewer');
  await page.goto(`${service.origin}/?q=pier`);
  await expect(page.locator('mark')).toHaveText('pier');
  await inspect(page, 'search');
  await page.getByRole('button', { name: 'Tags, person and time' }).click();
  await inspect(page, 'filters');
  await page.keyboard.press('Escape');
  await page.locator('.check').first().click({ force: true });
  await inspect(page, 'selection');
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('Nothing found')).toBeVisible();
  await inspect(page, 'nothing-found');
  await page.goto(`${service.origin}/trash`);
  await expect(page.getByRole('listitem')).toHaveCount(1);
  await inspect(page, 'trash');
  await page.goto(`${service.origin}/no/such/page`);
  await expect(page.getByText('There is no such page')).toBeVisible();
  await inspect(page, 'unknown');
});

test('settings and people', async ({ page, service, token }) => {
  await service.call('POST', '/api/invites', {}, token);
  await page.goto(`${service.origin}/settings`);
  await page.getByLabel('Name', { exact: true }).fill('backup');
  await page.getByRole('button', { name: 'Create API key' }).click();
  const key = await page.getByLabel('Your new API key').inputValue();
  expect(await service.call<{ scopes: string[] }>('GET', '/api/auth/me', undefined, key)).toMatchObject({ scopes: ['read'] });
  await expect(page.getByText('This browser')).toBeVisible();
  await inspect(page, 'settings');
  await page.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('You have no API keys.')).toBeVisible();
  await expect(service.call('GET', '/api/auth/me', undefined, key)).rejects.toThrow('401');
  await page.setViewportSize(phone);
  await inspect(page, 'settings-phone');
  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('button', { name: 'Create invite' }).click();
  await expect(page.getByLabel('Invite link')).toBeVisible();
  await inspect(page, 'people-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
  await inspect(page, 'people');
});

test('back and forward lead through filters, the search and the viewer', async ({ page, service, token }) => {
  await page.goto(service.origin);
  for (const [place, path] of (await draw(page, 3, [300, 200])).entries()) {
    const id = await upload(service, token, path);
    if (place > 0) await service.call('PATCH', `/api/media/${id}`, { tags: ['lake'] }, token);
  }
  await page.reload();
  const tiles = page.getByRole('list', { name: 'Gallery' }).getByRole('listitem');
  const search = page.getByRole('searchbox');
  const viewer = page.getByRole('dialog', { name: 'picture-2.jpg' });
  await page.getByRole('button', { name: 'lake', exact: true }).click();
  await expect(tiles).toHaveCount(2);
  await search.pressSequentially('picture-2');
  await expect(tiles).toHaveCount(1);
  // The field has the focus, and what is in it is no longer what was searched.
  await page.goBack();
  await expect(tiles).toHaveCount(2);
  await expect(search).toHaveValue('');
  await page.goForward();
  await expect(search).toHaveValue('picture-2');
  await tiles.first().getByRole('link').click();
  await expect(viewer).toBeVisible();
  await page.reload();
  await expect(viewer).toBeVisible();
  for (const count of [1, 2, 3]) {
    await page.goBack();
    await expect(viewer).toHaveCount(0);
    await expect(tiles).toHaveCount(count);
  }
  for (let steps = 0; steps < 3; steps++) await page.goForward();
  await expect(viewer).toBeVisible();
});
