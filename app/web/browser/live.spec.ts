import { expect, inspect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import type { Page } from '@playwright/test';
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
