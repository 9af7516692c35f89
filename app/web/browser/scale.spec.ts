import type { Page } from '@playwright/test';
import { expect, test } from './support/fixtures.ts';

const COUNT = 3000;
const PAGE = 100;

/** A long gallery, as the API tells it. */
async function serve(page: Page, thumbnail: (index: number) => string | null): Promise<void> {
  const item = (index: number): object => ({
    id: String(index).padStart(26, '0'),
    name: `picture ${index}`,
    type: 'image',
    status: 'ready',
    width: 400 + ((index * 37) % 500),
    height: 400,
    // Half a minute apart, over several months.
    listed_at: new Date(Date.UTC(2026, 10, 1) - index * 3_600_000).toISOString(),
    thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI',
    thumbnail_url: thumbnail(index),
    tags: [],
    fragment: null,
    deleted_at: null,
  });
  await page.route('**/api/media?*', (route) => {
    const query = new URL(route.request().url()).searchParams;
    const to = query.get('to');
    if (to !== null) {
      // What is shown is asked for anew, to be compared.
      const all = Array.from({ length: COUNT }, (_, index) => item(index) as { listed_at: string });
      const items = all.filter(({ listed_at: time }) => time >= (query.get('from') ?? '') && time < to);
      return route.fulfill({ json: { items: items.slice(0, PAGE), next: null, previous: null, nearly: false } });
    }
    const start = Number(query.get('before') ?? 0);
    const items = Array.from({ length: Math.min(PAGE, COUNT - start) }, (_, place) => item(start + place));
    const next = start + PAGE < COUNT ? String(start + PAGE) : null;
    return route.fulfill({ json: { items, next, previous: null, nearly: false } });
  });
  await page.route('**/api/media/facets?*', (route) =>
    route.fulfill({ json: { types: [{ value: 'image', count: COUNT }], tags: [], uploaders: [] } }),
  );
  await page.route('**/api/media/timeline?*', (route) =>
    route.fulfill({ json: { months: [{ month: '2026-11', count: COUNT, before: '' }] } }),
  );
}

test('a long gallery scrolls without shifts, in a bounded page, to its end', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  await serve(page, () => null);
  await page.addInitScript(() => {
    const shifts: string[] = [];
    Object.assign(window, { shifts });
    interface Shift extends PerformanceEntry {
      value: number;
      sources: { node: Element | null }[];
    }
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries() as Shift[]) {
        shifts.push(`${value}: ${sources.map(({ node }) => node?.outerHTML?.slice(0, 120)).join(' | ')}`);
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(service.origin);
  await expect(page.getByRole('link', { name: 'picture 0', exact: true })).toBeVisible();
  await expect(page.getByText('3,000 items')).toBeVisible();
  const scroller = page.locator('.scroller');
  let most = 0;
  await expect(async () => {
    await scroller.evaluate((element) => element.scrollBy(0, 5000));
    most = Math.max(most, await page.getByRole('listitem').count());
    await expect(page.getByRole('link', { name: `picture ${COUNT - 1}`, exact: true })).toBeVisible({ timeout: 50 });
  }).toPass();
  expect(most).toBeLessThan(150);
  const shifts = await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts);
  expect(shifts.filter((shift) => parseFloat(shift) > 0.001)).toEqual([]);
});

test('what only flies past is not asked for, and what is stopped at is', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  await serve(page, (index) => `/thumbnail/${index}`);
  const asked = new Set<string>();
  await page.route('**/thumbnail/*', (route) => {
    asked.add(route.request().url());
    return route.fulfill({ contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' });
  });
  await page.goto(service.origin);
  await expect(page.getByRole('link', { name: 'picture 0', exact: true }).locator('img')).toHaveClass(/loaded/);
  const fly = (element: HTMLElement | SVGElement): Promise<void> =>
    new Promise((done) => {
      const step = (): void => {
        element.scrollTop += 150;
        if (element.scrollTop < 30_000) requestAnimationFrame(step);
        else done();
      };
      step();
    });
  await page.locator('.scroller').evaluate(fly);
  const seen = page.locator('[data-index]');
  await expect.poll(() => seen.evaluateAll((tiles) => tiles.every((tile) => tile.querySelector('img.loaded')))).toBe(true);
  const last = Number((await seen.last().getAttribute('data-index')) ?? 0);
  expect(last).toBeGreaterThan(300);
  expect(asked.size).toBeLessThan(last / 2);
});

test('a picture that is opened and closed leaves the gallery where it was', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  await serve(page, () => null);
  await page.goto(service.origin);
  await expect(page.getByText('3,000 items')).toBeVisible();
  const scroller = page.locator('.scroller');
  const top = (): Promise<number> => scroller.evaluate((element) => element.scrollTop);
  await scroller.evaluate((element) => element.scrollTo(0, 2345));
  const place = page.getByRole('link', { name: /^picture/ }).nth(20);
  await place.scrollIntoViewIfNeeded();
  const before = await top();
  // What the gallery knows of it is shown meanwhile.
  await page.route('**/api/media/0*', () => undefined);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await place.click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await expect.poll(() => asked).toContainEqual(expect.stringMatching(/^\/api\/media\/0/));
  expect(await top()).toBe(before);
  // Who is signed in is known already, and the stream of changes goes on.
  expect(asked.filter((path) => path === '/api/auth/me' || path === '/api/events')).toEqual([]);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(place).toBeFocused();
  expect(await top()).toBe(before);
});
