import { expect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { PASSWORD } from './support/service.ts';

test('everything by the keyboard alone', async ({ page, service }) => {
  const token = await service.register();
  await page.goto(service.origin);
  for (const path of await draw(page, 6)) await upload(service, token, path);

  await expect(page.getByLabel('User name')).toBeFocused();
  await page.keyboard.type('anna');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');

  const tile = (number: number): ReturnType<typeof page.getByRole> => page.getByRole('link', { name: `picture-${number}.jpg` });
  await expect(tile(6)).toBeVisible();
  // The grid is one stop of the Tab key.
  for (let steps = 0; steps < 20 && !(await tile(6).evaluate((link) => link === document.activeElement)); steps++) {
    await page.keyboard.press('Tab');
  }
  await expect(tile(6)).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(tile(5)).toBeFocused();
  await page.keyboard.press('End');
  await expect(tile(1)).toBeFocused();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');

  await tile(4).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog', { name: 'picture-4.jpg' })).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('dialog', { name: 'picture-3.jpg' })).toBeVisible();
  await page.keyboard.press('i');
  await page.getByLabel('Name', { exact: true }).focus();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('boat.jpg');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog', { name: 'boat.jpg' })).toBeVisible();
  await page.keyboard.press('Escape');
  // Back where it was, and the focus on what was looked at last.
  await expect(page.getByRole('link', { name: 'boat.jpg' })).toBeFocused();

  await page.keyboard.press(' ');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ ');
  await expect(page.getByText('2 selected')).toBeVisible();
  await page.keyboard.press('Delete');
  await expect(page.getByText('2 items are in the trash.')).toBeVisible();
  await expect(page.getByRole('listitem')).toHaveCount(4);

  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.type('picture-6');
  await expect(page.getByRole('listitem')).toHaveCount(1);

  await tile(6).focus();
  await page.keyboard.press(' ');
  const share = page.getByRole('button', { name: 'Share' });
  await share.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByLabel('Title')).toBeFocused();
  await page.keyboard.type('By keys');
  await page.keyboard.press('Enter');
  await expect(page.getByLabel('Link for guests')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(share).toBeFocused();
});
