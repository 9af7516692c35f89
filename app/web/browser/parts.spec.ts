import type { Page } from '@playwright/test';
import { Bucket, VERSITYGW } from './support/bucket.ts';
import { expect, signIn, skipUnless, test } from './support/fixtures.ts';
import { paintLarge } from './support/pictures.ts';
import { Service } from './support/service.ts';

interface Place {
  service: Service;
  bucket: Bucket;
  token: string;
  /** The parts that were sent to the store since it was asked for last. */
  sent: () => string[];
  /** Limits how fast the page sends; -1 for as fast as it can. */
  rate: (bytes: number) => Promise<void>;
}

/** A service with a bucket that only the stack's rules let pages of the service into, and its page. */
async function inPlace(page: Page, use: (place: Place) => Promise<void>): Promise<void> {
  skipUnless(VERSITYGW !== undefined, 'VERSITYGW names no S3 server');
  const bucket = await Bucket.start([]);
  const service = await Service.start({ ...bucket.settings, MAX_UPLOAD_BYTES: String(100 << 20) });
  try {
    await bucket.allow([service.origin]);
    const token = await service.register();
    await signIn(page, token);
    let sent: string[] = [];
    page.on('request', (request) => {
      const number = new URL(request.url()).searchParams.get('partNumber');
      if (request.method() === 'PUT' && number !== null) sent.push(number);
    });
    const client = await page.context().newCDPSession(page);
    const rate = async (bytes: number): Promise<void> => {
      await client.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
    };
    const take = (): string[] => {
      const taken = sent;
      sent = [];
      return taken.sort();
    };
    await page.goto(service.origin);
    await use({ service, bucket, token, sent: take, rate });
  } finally {
    await service.stop();
    await bucket.stop();
  }
}

test('a large picture goes past the service in parts, and after a reload only with those that are missing', async ({ page }) => {
  await inPlace(page, async ({ service, token, sent, rate }) => {
    await page.locator('input[type=file]').first().setInputFiles(await paintLarge(1));
    await expect(page.getByText('1 file is uploaded')).toBeVisible();
    expect(sent()).toEqual(['1', '2', '3']);

    // Two parts at once, of which one waits: the reload finds one that has arrived.
    await rate(6_000_000);
    let holds = true;
    await page.route('**/*partNumber=2&*', (route) => (holds ? undefined : route.continue()));
    const arrived = page.waitForResponse((response) => response.url().includes('partNumber=1&'));
    await page.locator('input[type=file]').first().setInputFiles(await paintLarge(2));
    const bar = page.getByRole('progressbar');
    await expect.poll(async () => Number(await bar.getAttribute('value'))).toBeGreaterThan(0.05);
    expect((await arrived).status()).toBe(200);
    holds = false;
    sent();
    await rate(-1);
    await page.reload();
    await expect(page.getByText('1 file is uploaded')).toBeVisible();
    const resumed = sent();
    expect(resumed).toContain('2');
    expect(resumed).not.toContain('1');
    const { items } = await service.call<{ items: { status: string }[] }>('GET', '/api/media', undefined, token);
    expect(items.map(({ status }) => status)).toEqual(['ready', 'ready']);

    // The same bytes again are a duplicate.
    await page.locator('input[type=file]').first().setInputFiles(await paintLarge(1));
    await expect(page.getByText('The gallery has this already')).toBeVisible();
  });
});

test('a cancelled upload in parts leaves nothing, and a store without rules for the page is gone around', async ({ page }) => {
  await inPlace(page, async ({ service, token }) => {
    await page.route('**/*partNumber=2&*', () => undefined);
    const begun = page.waitForResponse('**/upload/multipart');
    await page.locator('input[type=file]').first().setInputFiles(await paintLarge(3));
    const { image_id: id } = (await (await begun).json()) as { image_id: string };
    const cancelled = page.waitForResponse((response) => response.request().method() === 'DELETE');
    await page.getByRole('button', { name: 'Cancel large-3.png' }).click();
    expect((await cancelled).status()).toBe(204);
    await page.unroute('**/*partNumber=2&*');
    await expect(service.call('GET', `/api/media/${id}`, undefined, token)).rejects.toThrow('404');

    // As a browser fails a request that the store's rules do not admit.
    await page.reload();
    await page.route('**/*partNumber=*', (route) => route.abort('accessdenied'));
    const byTus = page.waitForRequest('**/api/uploads');
    await page.locator('input[type=file]').first().setInputFiles(await paintLarge(4));
    await byTus;
    await expect(page.getByText('1 file is uploaded')).toBeVisible();
  });
});
