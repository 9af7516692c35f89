import type { Page } from '@playwright/test';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { Bucket, VERSITYGW } from './support/bucket.ts';
import { expect, skipUnless, test } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { Service } from './support/service.ts';

const TYPE = 'image/jpeg';

interface Sent {
  status: number;
  etag: string | null;
  /** How many bytes were told to be sent, time after time. */
  progress: number[];
}

test('a page of another origin puts pictures into the bucket, if the rules of the stack allow its origin', async ({ page, context }) => {
  skipUnless(VERSITYGW !== undefined, 'VERSITYGW names no S3 server');
  const site = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>page</title>'));
  const port = await new Promise<number>((done) => {
    site.listen(0, '127.0.0.1', () => {
      const address = site.address();
      done(typeof address === 'object' && address ? address.port : 0);
    });
  });
  const allowed = `http://localhost:${port}`;
  const bucket = await Bucket.start([allowed]);
  const service = await Service.start(bucket.settings);
  try {
    const token = await service.register();
    const [one = '', other = ''] = await draw(page, 2);
    await page.goto(allowed);

    const create = (content_length?: number): Promise<{ image_id: string; upload_url: string }> =>
      service.call('POST', '/api/image/v1/upload/create-presigned-url', { content_type: TYPE, file_name: 'a.jpg', content_length }, token);
    const settled = async (id: string, etag: string | null): Promise<unknown> => {
      const headers = { authorization: `Bearer ${token}`, 'if-match': etag ?? '' };
      const told = await fetch(`${service.origin}/api/image/v1/upload/${id}/complete`, { method: 'POST', headers });
      expect(told.status).toBe(200);
      const { status } = await service.call<{ status: string }>('GET', `/api/image/v1/upload/${id}?wait=50`, undefined, token);
      return status;
    };

    // The page reads the entity tag of the answer, by which the service knows that it is this file.
    const first = await create();
    const fetched = await putByFetch(page, first.upload_url, await readFile(one, 'base64'));
    expect(fetched.status).toBe(200);
    expect(await settled(first.image_id, fetched.etag)).toBe('ready');

    const bytes = await readFile(other);
    const second = await create(bytes.length);
    // So slow that there is progress to see.
    const client = await context.newCDPSession(page);
    const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes.length };
    await client.send('Network.emulateNetworkConditions', slow);
    const sent = await putByXhr(page, second.upload_url, bytes.toString('base64'));
    expect(sent.status).toBe(200);
    expect(sent.progress.at(-1)).toBe(bytes.length);
    expect(sent.progress.length).toBeGreaterThan(1);
    expect(await settled(second.image_id, sent.etag)).toBe('ready');

    // The same page at another origin.
    const stranger = await context.newPage();
    await stranger.goto(`http://127.0.0.1:${port}`);
    const third = await create();
    await expect(putByFetch(stranger, third.upload_url, bytes.toString('base64'))).rejects.toThrow('Failed to fetch');
    await stranger.close();
  } finally {
    await service.stop();
    await bucket.stop();
    site.close();
  }
});

function putByFetch(page: Page, url: string, base64: string): Promise<Pick<Sent, 'status' | 'etag'>> {
  return page.evaluate(
    async ([url, base64, type]) => {
      const body = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const response = await fetch(url, { method: 'PUT', headers: { 'content-type': type }, body });
      return { status: response.status, etag: response.headers.get('etag') };
    },
    [url, base64, TYPE] as const,
  );
}

function putByXhr(page: Page, url: string, base64: string): Promise<Sent> {
  return page.evaluate(
    ([url, base64, type]) =>
      new Promise<Sent>((done, fail) => {
        const progress: number[] = [];
        const request = new XMLHttpRequest();
        request.open('PUT', url);
        request.setRequestHeader('content-type', type);
        request.upload.onprogress = (event) => progress.push(event.loaded);
        request.onload = () => done({ status: request.status, etag: request.getResponseHeader('etag'), progress });
        request.onerror = () => fail(new Error('the request failed'));
        request.send(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
      }),
    [url, base64, TYPE] as const,
  );
}
