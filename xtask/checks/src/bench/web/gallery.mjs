// Measures the gallery in a browser. Arguments: the folder of the UI, whose Playwright is used; the service's origin; the token of a
// session; and the browser's program. Prints one object in JSON.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, origin, token, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, 'package.json'))('@playwright/test');

/** So many items are scrolled past. */
const ITEMS = 10_000;

/** Where the heap is looked at first: by then the page keeps as much as it ever does. */
const SETTLED = 4_000;

/** Pixels a second: a row of pictures about every 40 ms. */
const SPEED = 6_000;

/** Navigations that are timed. */
const TIMES = 5;

const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
  await context.addInitScript((session) => localStorage.setItem('session', session), JSON.stringify({ token, expires_at: '2999-01-01T00:00:00Z' }));
  await context.addInitScript(() => {
    window.interactions = [];
    new PerformanceObserver((list) => {
      for (const { interactionId, name, duration, startTime, processingStart, processingEnd, target } of list.getEntries()) {
        const took = [processingStart - startTime, processingEnd - processingStart].map(Math.round);
        const what = `${name} on ${target?.ariaLabel || target?.textContent.trim().slice(0, 30) || target?.tagName}`;
        if (interactionId) window.interactions.push([`${what}: begun after ${took[0]} ms, ${took[1]} ms of script`, duration]);
      }
    }).observe({ type: 'event', buffered: true, durationThreshold: 16 });
  });
  const page = await context.newPage();
  const ready = [];
  for (let time = 0; time <= TIMES; time++) {
    await page.goto(origin, { waitUntil: 'commit' });
    await picturesAreThere(page);
    // The first one fills the browser's caches.
    if (time > 0) ready.push(await page.evaluate(() => performance.now()));
  }
  await page.getByText('100,000 items').waitFor();

  const client = await context.newCDPSession(page);
  const heap = async () => {
    await client.send('HeapProfiler.collectGarbage');
    return (await client.send('Runtime.getHeapUsage')).usedSize;
  };
  const first = await scroll(page, SETTLED);
  const before = await heap();
  const second = await scroll(page, ITEMS);
  const after = await heap();
  const frames = { due: first.due + second.due, dropped: first.dropped + second.dropped };

  // People open a picture that they see.
  await picturesAreThere(page);
  await page.evaluate(() => (window.interactions = []));
  const tile = () => page.locator('li a[data-index]').nth(20);
  await tile().click();
  await page.getByRole('dialog').waitFor();
  for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'i', 'i', 'Escape']) await page.keyboard.press(key, { delay: 50 });
  for (const key of ['ArrowDown', 'ArrowRight', 'Space', 'Escape']) await page.keyboard.press(key, { delay: 50 });
  await page.getByRole('button', { name: 'Clips' }).click();
  await page.getByRole('button', { name: 'Clips' }).click();
  await page.keyboard.press('/');
  await page.keyboard.type('img_19999', { delay: 80 });
  await page.getByText(/^1 item$/).waitFor();
  const interactions = await page.evaluate(() => window.interactions);
  interactions.sort(([, one], [, other]) => other - one);
  console.log(
    JSON.stringify({
      ready_seconds: ready.map((milliseconds) => milliseconds / 1000),
      frames: frames.due,
      dropped_share: frames.dropped / frames.due,
      heap_mb: after / 1e6,
      heap_growth_mb: (after - before) / 1e6,
      // Shorter ones than 16 ms are not told.
      interaction_ms: interactions[0]?.[1] ?? 16,
      interaction: interactions[0]?.[0] ?? 'none',
    }),
  );
} finally {
  await browser.close();
}

/** Waits for all pictures in the window. */
function picturesAreThere(page) {
  const areThere = () => {
    const seen = [...document.querySelectorAll('li a[data-index]')].filter((tile) => {
      const { top, bottom } = tile.getBoundingClientRect();
      return top < innerHeight && bottom > 0;
    });
    return seen.length > 0 && seen.every((tile) => tile.querySelector('img')?.complete);
  };
  return page.waitForFunction(areThere, undefined, { polling: 'raf' });
}

/** Scrolls until an item is seen. Returns how many frames were due, and how many of them did not come. */
function scroll(page, until) {
  return page.evaluate(
    ([until, speed]) =>
      new Promise((done, fail) => {
        const scroller = document.querySelector('.scroller');
        const frame = 1000 / 60;
        let [due, dropped, last, stuck] = [0, 0, performance.now(), 0];
        const step = (now) => {
          const passed = Math.max(Math.round((now - last) / frame), 1);
          [due, dropped, last] = [due + passed, dropped + passed - 1, now];
          const before = scroller.scrollTop;
          scroller.scrollTop += (speed / 1000) * frame * passed;
          stuck = scroller.scrollTop === before ? stuck + passed : 0;
          const seen = Math.max(...[...document.querySelectorAll('li[aria-posinset]')].map((tile) => Number(tile.getAttribute('aria-posinset'))));
          if (seen >= until) done({ due, dropped });
          else if (stuck > 600) fail(new Error(`the list ends at item ${seen}`));
          else requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      }),
    [until, SPEED],
  );
}
