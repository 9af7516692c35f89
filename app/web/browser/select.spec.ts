import { expect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';

test('many are selected by dragging and with shift, deleted and brought back', async ({ page, service, token }) => {
  // Rows of three in a low window.
  await page.setViewportSize({ width: 760, height: 560 });
  for (const path of await draw(page, 9, [900, 600])) await upload(service, token, path);
  await page.goto(service.origin);
  const tiles = page.getByRole('list', { name: 'Gallery' }).getByRole('listitem');
  const bar = page.getByRole('toolbar', { name: 'Selected items' });
  const tile = (number: number): ReturnType<typeof page.getByRole> => page.getByRole('link', { name: `picture-${number}.jpg` });
  const move = async (number: number): Promise<void> => {
    const box = await tile(number).boundingBox();
    if (!box) throw new Error(`picture ${number} is not in the page`);
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 5 });
  };
  await expect(tile(9)).toBeVisible();

  // The newest are first.
  await move(9);
  await page.mouse.down();
  await move(7);
  await expect(bar).toContainText('3 selected');
  await move(8);
  await expect(bar).toContainText('2 selected');
  await page.mouse.up();
  await expect(page).toHaveURL(`${service.origin}/`);

  // At the lower edge the gallery scrolls, and what comes is selected.
  await move(8);
  await page.mouse.down();
  await page.mouse.move(700, 555, { steps: 5 });
  await expect(bar).toContainText('9 selected');
  await page.mouse.up();
  await page.getByRole('button', { name: 'Clear the selection' }).click();

  await page.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
  await tile(9).focus();
  for (const key of ['Shift+ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowLeft']) await page.keyboard.press(key);
  await expect(bar).toContainText('2 selected');
  await page.keyboard.press('Delete');
  await expect(page.getByText('2 items are in the trash.')).toBeVisible();
  await expect(tile(9)).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(tile(9)).toBeVisible();
  await expect(tiles.first().getByRole('link')).toHaveAttribute('aria-label', 'picture-9.jpg');

  // A press without a move opens, as before.
  await tile(9).click();
  await expect(page.getByRole('dialog', { name: 'picture-9.jpg' })).toBeVisible();
});
