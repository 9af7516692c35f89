import { expect, inspect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import type { Locator, Page } from '@playwright/test';
import type { Service } from './support/service.ts';

/** A media that waits for a worker, and its tile in the open page. */
async function pending(page: Page, service: Service, token: string): Promise<string> {
  const [path = ''] = await draw(page, 1);
  const id = await upload(service, token, path);
  await service.sql((sql) => sql`UPDATE media SET status = 'pending' WHERE id = ${id}`);
  return id;
}

/** Has a worker process it. */
async function process(service: Service, id: string): Promise<void> {
  await service.sql((sql) => sql`INSERT INTO job (media, kind) VALUES (${id}, 'process')`);
}

test('a picture appears when it is ready, because the service says so', async ({ page, service, token }) => {
  const id = await pending(page, service, token);
  // Without clocks, no page asks by itself.
  await page.addInitScript(() => (window.setInterval = (() => 0) as unknown as typeof setInterval));
  const streaming = page.waitForResponse('**/api/events');
  await page.goto(service.origin);
  expect((await streaming).status()).toBe(200);
  const tile = page.getByRole('link', { name: 'picture-1.jpg' });
  await expect(tile).toContainText('Being processed');
  await process(service, id);
  await expect(tile.locator('img')).toHaveClass(/loaded/);

  // The viewer, too.
  await service.sql((sql) => sql`UPDATE media SET status = 'pending' WHERE id = ${id}`);
  await page.goto(`${service.origin}/m/${id}`);
  await expect(page.getByText('It will be here in a moment.')).toBeVisible();
  await process(service, id);
  await expect(page.getByRole('dialog').getByRole('img', { name: 'picture-1.jpg' })).toBeVisible();
});

for (const [what, hold] of [
  ['fails', 'abort'],
  ['is held back', 'hang'],
] as const) {
  test(`a picture appears when it is ready, also if the stream ${what}`, async ({ page, service, token }) => {
    const id = await pending(page, service, token);
    // A proxy that holds an answer back gives no sign of it.
    await page.route('**/api/events', (route) => (hold === 'abort' ? route.abort() : undefined));
    await page.goto(service.origin);
    const tile = page.getByRole('link', { name: 'picture-1.jpg' });
    await expect(tile).toContainText('Being processed');
    await process(service, id);
    await expect(tile.locator('img')).toHaveClass(/loaded/);
  });
}

test('what others upload appears at the top, and moves nothing that is looked at elsewhere', async ({ page, service, token }) => {
  await page.setViewportSize({ width: 800, height: 500 });
  await page.goto(service.origin);
  const [first = '', second = '', third = '', ...others] = await draw(page, 9, [300, 200]);
  for (const path of others) await upload(service, token, path);
  const streaming = page.waitForResponse('**/api/events');
  await page.reload();
  await streaming;
  const tiles = page.getByRole('list', { name: 'Gallery' }).getByRole('link');
  await expect(tiles.first()).toHaveAccessibleName('picture-9.jpg');
  await tiles.first().focus();

  await upload(service, token, first);
  await expect(tiles.first()).toHaveAccessibleName('picture-1.jpg');
  // The keyboard goes on from where it was.
  await expect(tiles.nth(1)).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(tiles.nth(2)).toBeFocused();

  await page.locator('.scroller').evaluate((element) => element.scrollTo(0, 150));
  const looked = page.getByRole('link', { name: 'picture-4.jpg' });
  await expect(looked).toBeInViewport();
  const before = await looked.boundingBox();
  await upload(service, token, second);
  const fresh = page.getByRole('button', { name: '1 new' });
  await expect(fresh).toBeVisible();
  await upload(service, token, third);
  const more = page.getByRole('button', { name: '2 new' });
  await expect(more).toBeVisible();
  // The browser rounds a position that was scrolled to.
  expect((await looked.boundingBox())?.y).toBeCloseTo(before?.y ?? 0, 0);
  await inspect(page, 'arrived');
  await more.click();
  await expect(more).toHaveCount(0);
  await expect(tiles.first()).toHaveAccessibleName('picture-3.jpg');
  await expect(tiles.first()).toBeFocused();
  await expect(page.getByText('9 items')).toBeVisible();
});

test('what others edit, tag, delete and restore is shown in the gallery and the viewer', async ({ page, service, token }) => {
  await page.goto(service.origin);
  const paths = await draw(page, 4, [300, 200]);
  const [first = '', second = ''] = await Promise.all(paths.map((path) => upload(service, token, path)));
  const streaming = page.waitForResponse('**/api/events');
  await page.reload();
  await streaming;
  const change = (id: string, body: object): Promise<unknown> => service.call('PATCH', `/api/media/${id}`, body, token);
  const bulk = (action: string): Promise<unknown> => service.call('POST', '/api/media/bulk', { ids: [first], action, tags: [] }, token);
  const tile = (name: string): Locator => page.getByRole('link', { name });
  await expect(tile('picture-1.jpg')).toBeVisible();
  await change(first, { name: 'theirs.jpg' });
  await expect(tile('theirs.jpg')).toBeVisible();
  await bulk('delete');
  await expect(tile('theirs.jpg')).toHaveCount(0);
  await expect(page.getByText('3 items')).toBeVisible();
  await bulk('restore');
  await expect(tile('theirs.jpg')).toBeVisible();
  await expect(page.getByText('4 items')).toBeVisible();

  // What the filter no longer finds goes, and what it finds now comes.
  await change(first, { tags: ['lake'] });
  await page.goto(`${service.origin}/?tag=lake`);
  await expect(tile('theirs.jpg')).toBeVisible();
  await change(second, { tags: ['lake'] });
  await expect(tile('picture-2.jpg')).toBeVisible();
  await change(second, { tags: [] });
  await expect(tile('picture-2.jpg')).toHaveCount(0);

  await tile('theirs.jpg').click();
  const viewer = page.getByRole('dialog');
  await viewer.getByRole('button', { name: 'Details' }).click();
  const name = page.getByLabel('Name', { exact: true });
  await expect(name).toHaveValue('theirs.jpg');
  await change(first, { name: 'again.jpg' });
  await expect(name).toHaveValue('again.jpg');
  await name.fill('mine.jpg');
  await change(first, { name: 'other.jpg', tags: ['lake', 'sauna'] });
  await expect(page.getByText('Now: other.jpg')).toBeVisible();
  await expect(name).toHaveValue('mine.jpg');
  await inspect(page, 'conflict');
  await page.getByRole('button', { name: 'Keep theirs' }).click();
  await expect(name).toHaveValue('other.jpg');
  await bulk('delete');
  await expect(page.getByText('It is in the trash.')).toBeVisible();
  await service.call('DELETE', `/api/media/${first}?permanent=true`, undefined, token);
  await expect(page.getByText('It does not exist, or it is deleted.')).toBeVisible();
});
