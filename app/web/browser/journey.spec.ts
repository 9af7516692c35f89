import type { Browser, Page } from '@playwright/test';
import { expect, problemsOf, realPictures, skipUnless, test } from './support/fixtures.ts';
import { draw, film, hasPrograms, write } from './support/pictures.ts';
import { BOOTSTRAP_TOKEN, PASSWORD, type Service } from './support/service.ts';

test('from the first start to a deleted picture that comes back', async ({ page, service, browser }) => {
  await journey(page, service, browser, '/api/files/');
});

test.describe('with an S3 server', () => {
  test.use({ storage: 'bucket', settings: { PATH: process.env['PATH'] ?? '' } });

  test('from the first start to a deleted picture that comes back, with a clip and text in a picture', async ({ page, service, browser }) => {
    skipUnless(hasPrograms('ffmpeg', 'ffprobe', 'tesseract'), 'takes ffmpeg and Tesseract');
    const guest = await journey(page, service, browser, 'http');
    await guest.goto(service.origin);
    await guest.locator('input[type=file]').first().setInputFiles([await film(), await write(guest, 'Harbour lights')]);
    await expect(guest.getByText('2 files are uploaded')).toBeVisible();

    await guest.getByRole('link', { name: 'Clip: clip.webm' }).click();
    const video = guest.getByRole('dialog').locator('video');
    const seek = (element: HTMLVideoElement | SVGElement): Promise<number> =>
      new Promise((done, fail) => {
        const player = element as HTMLVideoElement;
        player.onerror = () => fail(new Error(player.error?.message));
        player.onseeked = () => done(player.currentTime);
        player.currentTime = 3;
      });
    expect(await video.evaluate(seek)).toBe(3);
    await guest.keyboard.press('Escape');

    // The text is recognised after the picture is shown.
    await expect(async () => {
      await guest.goto(`${service.origin}/?q=harbour`);
      await expect(guest.locator('mark')).toHaveText('Harbour', { timeout: 3000 });
    }).toPass();
  });
});

/** Returns the page of the second account. Files are at addresses that begin with `files`. */
async function journey(page: Page, service: Service, browser: Browser, files: string): Promise<Page> {
  // The first account, by the link that a deploy prints.
  await page.goto(`${service.origin}/start#bootstrap=${BOOTSTRAP_TOKEN}`);
  expect(page.url()).toBe(`${service.origin}/start`);
  await page.getByLabel('User name').fill('anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  expect(service.log.join('\n')).not.toContain(BOOTSTRAP_TOKEN);

  // An invite for another, who makes an account with it.
  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('button', { name: 'Create invite' }).click();
  const link = await page.getByLabel('Invite link').inputValue();
  const context = await browser.newContext({ locale: 'en-GB', permissions: ['clipboard-read', 'clipboard-write'] });
  const guest = await context.newPage();
  const problems = problemsOf(guest);
  await guest.goto(link);
  await guest.getByLabel('User name').fill('bella');
  await guest.getByLabel('Password').fill(PASSWORD);
  await guest.getByRole('button', { name: 'Create account' }).click();
  await expect(guest.getByText('Nothing here yet')).toBeVisible();
  expect(service.log.join('\n')).not.toContain(link.split('=')[1]);
  await page.reload();
  await expect(page.getByText('Used by bella')).toBeVisible();

  // Uploads: what was drawn, real pictures of cameras, a duplicate, and what is no picture.
  const drawn = await draw(guest, 4);
  const real = realPictures();
  const upload = guest.locator('input[type=file]').first();
  await upload.setInputFiles([...drawn, ...real, import.meta.filename]);
  await expect(guest.getByText('1 file failed')).toBeVisible();
  await expect(guest.getByText('This type of file is not supported')).toBeVisible();
  const tiles = guest.getByRole('list', { name: 'Gallery' }).getByRole('listitem');
  await expect(tiles).toHaveCount(drawn.length + real.length);
  await upload.setInputFiles(drawn[0] ?? []);
  await expect(guest.getByText('The gallery has this already')).toBeVisible();
  await guest.getByRole('region', { name: 'Uploads' }).getByRole('button', { name: 'Close' }).click();
  for (const image of await tiles.locator('img').all()) await expect(image).toHaveClass(/loaded/);
  expect((await tiles.locator('img').first().getAttribute('src'))?.startsWith(files)).toBe(true);

  // A tag for two, found again by the search, with what was found marked.
  await guest.getByRole('button', { name: 'Select picture-2.jpg' }).click({ force: true });
  await guest.getByRole('link', { name: 'picture-3.jpg' }).click();
  await guest.getByRole('button', { name: 'Tag', exact: true }).click();
  await guest.getByLabel('Tags', { exact: true }).fill('mökki');
  await guest.keyboard.press('Enter');
  await guest.getByRole('button', { name: 'Add tags' }).click();
  await expect(guest.getByText('2 items are tagged.')).toBeVisible();
  await guest.getByRole('searchbox').fill('mök');
  await expect(tiles).toHaveCount(2);
  await expect(guest).toHaveURL(/\?q=m%C3%B6k$/);
  await expect(tiles.first().locator('mark')).toHaveText('mökki');
  await guest.getByRole('searchbox').fill('picture');
  await expect(tiles).toHaveCount(4);
  await expect(guest.getByRole('link', { name: 'picture-4.jpg' }).locator('mark')).toHaveText('picture-4.jpg');
  await guest.reload();
  await expect(tiles).toHaveCount(4);
  await guest.getByRole('button', { name: 'Clear the search' }).click();
  await guest.getByRole('button', { name: 'mökki' }).click();
  await expect(tiles).toHaveCount(2);

  // The picture itself in the clipboard.
  await guest.getByRole('link', { name: 'picture-3.jpg' }).click();
  await guest.getByRole('button', { name: 'Copy picture' }).click();
  await expect(guest.getByText('The picture is in the clipboard.')).toBeVisible();
  const copied = await guest.evaluate(async () => {
    const [item] = await navigator.clipboard.read();
    const bitmap = await createImageBitmap((await item?.getType('image/png')) as Blob);
    return [bitmap.width, bitmap.height];
  });
  expect(copied).toEqual([600, 900]);

  // A link opens without an account.
  await guest.getByRole('button', { name: 'Share' }).click();
  await guest.getByRole('button', { name: 'Create link' }).click();
  const shared = await browser.newPage({ locale: 'en-GB' });
  await shared.goto(await guest.getByLabel('Link for guests').inputValue());
  await shared.getByRole('button', { name: 'picture-3.jpg' }).click();
  const large = shared.getByRole('dialog').getByRole('img', { name: 'picture-3.jpg' });
  await expect(large).toHaveJSProperty('naturalHeight', 900);
  await shared.close();
  await guest.getByRole('dialog', { name: 'Share by a link' }).getByRole('button', { name: 'Close' }).click();

  // Deleted, and back.
  await guest.getByRole('button', { name: 'Delete' }).click();
  await guest.getByRole('button', { name: 'Undo' }).click();
  await expect(guest.getByText('Undone.')).toBeVisible();
  await guest.keyboard.press('Escape');
  await expect(tiles).toHaveCount(2);
  await guest.getByRole('button', { name: 'Select picture-3.jpg' }).click({ force: true });
  await guest.getByRole('button', { name: 'Delete' }).click();
  await expect(tiles).toHaveCount(1);
  await guest.getByRole('link', { name: 'Trash' }).click();
  await expect(tiles).toHaveCount(1);
  await guest.getByRole('button', { name: 'Select picture-3.jpg' }).click({ force: true });
  await guest.getByRole('button', { name: 'Restore' }).click();
  await expect(guest.getByText('The trash is empty')).toBeVisible();
  expect(problems).toEqual([]);
  return guest;
}
