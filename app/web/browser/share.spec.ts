import { expect, inspect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { PASSWORD } from './support/service.ts';

test('a shared link opens without an account, with its password, until it is revoked', async ({ page, service, token, browser }) => {
  await page.goto(service.origin);
  for (const path of await draw(page, 3)) await upload(service, token, path);
  await page.reload();
  for (const number of [1, 3]) await page.getByRole('button', { name: `Select picture-${number}.jpg` }).click({ force: true });
  await page.getByRole('button', { name: 'Share' }).click();
  await page.getByLabel('Title').fill('By the lake');
  await page.getByLabel('Password').fill(PASSWORD);
  await inspect(page, 'share');
  await page.getByRole('button', { name: 'Create link' }).click();
  const link = await page.getByLabel('Link for guests').inputValue();

  const context = await browser.newContext({ locale: 'en-GB' });
  const guest = await context.newPage();
  await guest.goto(link);
  await guest.getByLabel('Password').fill('not the password');
  await guest.getByRole('button', { name: 'Open' }).click();
  await expect(guest.getByRole('alert')).toBeVisible();
  await guest.getByLabel('Password').fill(PASSWORD);
  await guest.getByRole('button', { name: 'Open' }).click();
  await expect(guest.getByRole('heading', { name: 'By the lake' })).toBeVisible();
  await expect(guest.getByRole('listitem')).toHaveCount(2);
  await expect(guest.getByText('picture-2')).toHaveCount(0);
  await inspect(guest, 'shared');
  await guest.getByRole('button', { name: 'picture-1.jpg' }).click();
  await expect(guest.getByRole('dialog', { name: 'picture-1.jpg' })).toBeVisible();
  await inspect(guest, 'shared-viewer');
  await guest.keyboard.press('ArrowRight');
  await expect(guest.getByRole('dialog', { name: 'picture-3.jpg' })).toBeVisible();
  expect(service.log.join('\n')).not.toContain(link.split('/s/')[1]);

  await page.goto(`${service.origin}/settings`);
  await expect(page.getByText('By the lake')).toBeVisible();
  await page.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('You have shared nothing.')).toBeVisible();
  await guest.reload();
  await expect(guest.getByText('This link shows nothing')).toBeVisible();
  await inspect(guest, 'shared-gone');
  await context.close();
});

test('a replaced file keeps the name, and an admin manages accounts', async ({ page, service, token }) => {
  await page.goto(service.origin);
  const [first = '', second = ''] = await draw(page, 2);
  const id = await upload(service, token, first);
  await page.goto(`${service.origin}/m/${id}`);
  await page.getByRole('button', { name: 'Details' }).click();
  await page.locator('aside input[type=file]').setInputFiles(second);
  await expect(page.getByText('The file is replaced.')).toBeVisible();
  await expect(page.getByRole('dialog', { name: 'picture-1.jpg' })).toBeVisible();
  await page.locator('aside input[type=file]').setInputFiles(import.meta.filename);
  await expect(page.getByText('This type of file is not supported')).toBeVisible();

  const { token: invite } = await service.call<{ token: string }>('POST', '/api/invites', {}, token);
  await service.call('POST', '/api/auth/register', { username: 'bella', password: PASSWORD, invite });
  await page.goto(`${service.origin}/people`);
  await page.getByLabel('Role of bella').selectOption('Administrator');
  await expect(page.getByText('The role is changed.')).toBeVisible();
  await page.getByRole('button', { name: 'Delete the account of bella' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect(page.getByText('The account is deleted.')).toBeVisible();
  const login = service.call('POST', '/api/auth/login', { username: 'bella', password: PASSWORD });
  await expect(login).rejects.toThrow('bad_credentials');
});
