import type { Locator, Page } from '@playwright/test';
import { expect, inspect, test } from './support/fixtures.ts';

test.use({ timezoneId: 'UTC' });

const PAGE = 100;
/** A month of 70,000, the others with as many as makes a million. */
const COUNTS = [300, 70_000, ...Array.from({ length: 74 }, () => 12_562), 112];
const TOTAL = COUNTS.reduce((sum, count) => sum + count, 0);
const MONTHS = COUNTS.map((count, number) => {
  const date = new Date(Date.UTC(2026, 10 - number, 1));
  const first = COUNTS.slice(0, number).reduce((sum, before) => sum + before, 0);
  return { month: date.toISOString().slice(0, 7), count, before: String(first), first, end: Date.UTC(2026, 11 - number, 1) };
});

function item(index: number): object {
  const month = MONTHS.findLast(({ first }) => first <= index);
  if (!month) throw new Error(`no month has ${index}`);
  return {
    id: String(TOTAL - index).padStart(26, '0'),
    name: `picture ${index}`,
    type: 'image',
    status: 'ready',
    width: 400 + ((index * 37) % 500),
    height: 400,
    // A second apart is 70,000 seconds at most, less than a day.
    listed_at: new Date(month.end - 1000 * (index - month.first + 1)).toISOString(),
    thumbhash: ['1QcSHQRnh493V4dIh4eXh1h4kJUI', '3OcRJYB4d3h/iIeHeEh3eIhw+j3A'][index % 2],
    thumbnail_url: null,
    tags: [],
    fragment: null,
    deleted_at: null,
  };
}

/** The place of the oldest that is not older than a time, or of the oldest that is newer. */
function placeAt(time: string | null): number {
  const wanted = Date.parse(time ?? '');
  let [low, high] = [-1, TOTAL - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (Date.parse((item(middle) as { listed_at: string }).listed_at) >= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A gallery of a million, as the API tells it. Returns the queries for pages. */
async function serve(page: Page): Promise<URLSearchParams[]> {
  const asked: URLSearchParams[] = [];
  await page.route('**/api/media?*', (route) => {
    const query = new URL(route.request().url()).searchParams;
    const to = query.get('to');
    if (to !== null) {
      // What is shown is asked for anew, to be compared.
      const items = Array.from({ length: placeAt(query.get('from')) - placeAt(to) }, (_, place) => item(placeAt(to) + place + 1));
      return route.fulfill({ json: { items: items.slice(0, PAGE), next: null, previous: null, nearly: false } });
    }
    asked.push(query);
    const after = query.get('after');
    const start = after === null ? Number(query.get('before') ?? 0) + Number(query.get('skip') ?? 0) : Math.max(Number(after) - PAGE, 0);
    const end = Math.min(after === null ? start + PAGE : Number(after), TOTAL);
    const items = Array.from({ length: end - start }, (_, place) => item(start + place));
    const json = { items, next: end < TOTAL ? String(end) : null, previous: start > 0 ? String(start) : null, nearly: false };
    return route.fulfill({ json });
  });
  await page.route('**/api/media/facets?*', (route) =>
    route.fulfill({ json: { types: [{ value: 'image', count: TOTAL }], tags: [], uploaders: [] } }),
  );
  await page.route('**/api/media/timeline?*', (route) => {
    expect(new URL(route.request().url()).searchParams.get('zone')).toBe('UTC');
    return route.fulfill({ json: { months: MONTHS.map(({ month, count, before }) => ({ month, count, before })) } });
  });
  return asked;
}

const picture = (page: Page, index: number): Locator => page.getByRole('link', { name: `picture ${index}`, exact: true });

/** The place that the scrubber tells. */
async function place(page: Page): Promise<number> {
  return Number(await page.getByRole('slider').getAttribute('aria-valuenow')) - 1;
}

/** Presses the pointer at a part of the scrubber's track and lets it go, somewhere else if `to` is given. */
async function scrub(page: Page, from: number, to = from): Promise<void> {
  const box = await page.getByRole('slider').locator('.track').boundingBox();
  if (!box) throw new Error('the scrubber is not shown');
  const at = (part: number): [number, number] => [box.x + box.width / 2, box.y + part * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to));
  await page.mouse.up();
}

test('any of a million is one drag, click or key away, without those between', async ({ page, service, token }) => {
  expect([token === '', TOTAL]).toEqual([false, 1_000_000]);
  const asked = await serve(page);
  await page.goto(service.origin);
  const slider = page.getByRole('slider', { name: 'Go to a time' });
  await expect(slider).toHaveAttribute('aria-valuemax', '1000000');
  await expect(slider).toHaveAttribute('aria-valuetext', 'November 2026, item 1 of 1,000,000');
  await expect(picture(page, 0)).toBeVisible();

  for (const part of [0.5, 0.25, 0.999, 0.07]) {
    const before = asked.length;
    await scrub(page, part);
    await expect(async () => expect(Math.abs((await place(page)) - part * TOTAL)).toBeLessThan(2500)).toPass();
    const index = await place(page);
    await expect(picture(page, index)).toBeInViewport();
    // What is newer is there, too, and has not moved what was asked for.
    await expect.poll(() => asked.slice(before).some((query) => query.has('after'))).toBe(true);
    await expect(picture(page, index)).toBeInViewport();
    expect(asked.length - before).toBeLessThan(10);
  }

  // A drag tells where it is, and goes there at its end.
  const queries = asked.length;
  await scrub(page, 0.1, 0.8);
  await expect(async () => expect(Math.abs((await place(page)) - 0.8 * TOTAL)).toBeLessThan(2500)).toPass();
  expect(asked.slice(queries).filter((query) => query.has('skip')).length).toBeLessThan(2);
  await expect(page.locator('.scrubber .label')).toHaveText('November 2021');
  await inspect(page, 'timeline');

  // Upwards and downwards from there, every picture follows the one before.
  const start = await place(page);
  const scroller = page.locator('.scroller');
  for (const step of [-700, 700]) {
    const from = await place(page);
    for (let steps = 0; steps < 12; steps++) {
      await scroller.evaluate((element, by) => element.scrollBy(0, by), step);
      await expect(page.getByText('Loading…')).toHaveCount(0);
    }
    expect(Math.sign((await place(page)) - from)).toBe(Math.sign(step));
    const shown = await page.locator('[data-index]').evaluateAll((links) =>
      links.map((link) => Number(link.getAttribute('aria-label')?.replace(/\D/g, ''))).sort((one, other) => one - other),
    );
    expect(shown.every((index, at) => at === 0 || index === (shown[at - 1] ?? 0) + 1)).toBe(true);
    expect(shown.length).toBeLessThan(150);
  }
  expect(Math.abs((await place(page)) - start)).toBeLessThan(200);

  // By the keyboard alone.
  await slider.focus();
  await page.keyboard.press('End');
  await expect(picture(page, TOTAL - 1)).toBeInViewport();
  await expect(slider).toHaveAttribute('aria-valuetext', /^July 2020, /);
  await page.keyboard.press('Home');
  await expect(picture(page, 0)).toBeInViewport();
  await page.keyboard.press('ArrowDown');
  await expect(slider).toHaveAttribute('aria-valuetext', 'October 2026, item 301 of 1,000,000');
  await expect(page.getByRole('heading', { name: 'October 2026' })).toBeInViewport();
  await page.keyboard.press('PageDown');
  await expect(slider).toHaveAttribute('aria-valuetext', /^October 2025, /);
  await expect(page.getByRole('heading', { name: 'October 2025' })).toBeInViewport();
  await page.keyboard.press('PageUp');
  await expect(slider).toHaveAttribute('aria-valuetext', /^October 2026, /);

  // The grid's own keys lead to the ends of the whole list.
  await picture(page, 300).focus();
  await page.keyboard.press('End');
  await expect(picture(page, TOTAL - 1)).toBeFocused();
  await page.keyboard.press('Home');
  await expect(picture(page, 0)).toBeFocused();
});

test('a month of 70,000 scrolls, from its middle, in a bounded page', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  const asked = await serve(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(service.origin);
  const [, month] = MONTHS;
  const middle = ((month?.first ?? 0) + 35_000) / TOTAL;
  // The years are there as long as a finger is on it.
  const year = page.getByRole('slider').getByText('2025', { exact: true });
  const box = await page.getByRole('slider').boundingBox();
  await expect(year).toBeHidden();
  await page.mouse.move((box?.x ?? 0) + 5, (box?.y ?? 0) + 200);
  await page.mouse.down();
  await expect(year).toBeVisible();
  await inspect(page, 'timeline-dragged-phone');
  await page.mouse.up();
  await expect(year).toBeHidden();
  await scrub(page, middle);
  await expect(page.getByRole('slider')).toHaveAttribute('aria-valuetext', /^October 2026, item 3\d,\d{3} of/);
  const start = await place(page);
  const scroller = page.locator('.scroller');
  let most = 0;
  for (const step of [4000, -4000]) {
    for (let steps = 0; steps < 25; steps++) {
      await scroller.evaluate((element, by) => element.scrollBy(0, by), step);
      most = Math.max(most, await page.locator('[data-index]').count());
      await expect(page.getByText('Loading…')).toHaveCount(0);
    }
    if (step > 0) expect(await place(page)).toBeGreaterThan(start + 500);
  }
  expect(await place(page)).toBeLessThan(start + 100);
  expect(most).toBeLessThan(150);
  expect(asked.length).toBeLessThan(100);
  await inspect(page, 'timeline-phone');
});
