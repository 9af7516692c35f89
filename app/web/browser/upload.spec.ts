import { readFile } from 'node:fs/promises';
import { expect, inspect, test } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';

test.use({ permissions: ['clipboard-read', 'clipboard-write'] });

test('pictures are pasted, dropped and taken with the camera, and what fails is first', async ({ page, service, token, browser }) => {
  expect(token).not.toBe('');
  await page.goto(service.origin);
  const [dropped = '', taken = ''] = await draw(page, 2, [300, 200]);
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(200, 100);
    canvas.getContext('2d')?.fillRect(10, 10, 50, 50);
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': canvas.convertToBlob() })]);
  });
  await page.keyboard.press('ControlOrMeta+v');
  await expect(page.getByText('1 file is uploaded')).toBeVisible();

  // A file is dragged over the page and dropped, as the system does it.
  const bytes = [...(await readFile(dropped))];
  const transfer = await page.evaluateHandle((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], 'dro\\pped\n.jpg', { type: 'image/jpeg' }));
    data.items.add(new File(['no picture'], 'letter.txt', { type: 'text/plain' }));
    return data;
  }, bytes);
  await page.dispatchEvent('main', 'dragenter', { dataTransfer: transfer });
  await expect(page.getByText('Drop to upload')).toBeVisible();
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer });
  await expect(page.getByText('Drop to upload')).toHaveCount(0);
  const lines = page.getByRole('region', { name: 'Uploads' }).getByRole('listitem');
  await expect(lines.first()).toContainText('This type of file is not supported');
  await expect(lines).toHaveCount(3);
  await expect(page.getByText('1 file failed')).toBeVisible();
  await expect(page.getByRole('link', { name: 'dro_pped_.jpg' })).toBeVisible();

  const context = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 }, locale: 'en-GB' });
  const phone = await context.newPage();
  await phone.addInitScript((session) => localStorage.setItem('session', session), JSON.stringify({ token, expires_at: '2999-01-01T00:00:00Z' }));
  await phone.goto(service.origin);
  const chooser = phone.waitForEvent('filechooser');
  await phone.getByRole('button', { name: 'Take a picture' }).tap();
  await (await chooser).setFiles(taken);
  await expect(phone.getByText('1 file is uploaded')).toBeVisible();
  await phone.getByRole('region', { name: 'Uploads' }).getByRole('button', { name: 'Close' }).tap();
  await inspect(phone, 'camera-phone');
  await context.close();
});
