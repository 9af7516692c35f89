import { expect, inspect, test, upload } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { PASSWORD } from './support/service.ts';

test('an administrator sees what the service does, tries failed work again, and finds who uses the storage', async ({ page, service, token }) => {
  const { token: invite } = await service.call<{ token: string }>('POST', '/api/invites', {}, token);
  const member = { username: 'bertil', password: PASSWORD, invite };
  const { token: other } = await service.call<{ token: string }>('POST', '/api/auth/register', member);
  const [first = '', second = '', third = ''] = await draw(page, 3);
  const broken = await upload(service, token, first, 'broken.jpg');
  const unlucky = await upload(service, token, second, 'unlucky.jpg');
  const fine = await upload(service, other, third, 'fine.jpg');
  await service.sql(async (sql) => {
    await sql`UPDATE media SET status = 'failed', failure = 'corrupt_image' WHERE id = ${broken}`;
    await sql`UPDATE media SET status = 'failed', failure = 'processing_failed', size = 7300000 WHERE id = ${unlucky}`;
    await sql`INSERT INTO job (media, kind, attempts, quarantined, last_error)
              VALUES (${unlucky}, 'process', 4, true, 'cannot store thumbs/01M.webp: Input/output error (os error 5)')`;
    // It waits for a worker that recognises text, which the service of this test does not have.
    await sql`INSERT INTO job (media, kind, due_at) VALUES (${fine}, 'ocr', now() - interval '2 hours')`;
  });

  await page.goto(service.origin);
  await page.getByRole('link', { name: 'Service', exact: true }).click();
  await expect(page).toHaveTitle('Service · meemi');
  const queue = page.getByRole('region', { name: 'Queue' });
  await expect(queue.getByRole('listitem')).toContainText(['1 given up', /The oldest has waited 2 hours\..*1 waiting/s]);
  await expect(page.getByRole('region', { name: 'Processes' }).getByRole('listitem')).toContainText(['Service']);
  const failures = page.getByRole('region', { name: 'Failed' });
  await expect(failures.getByText('The picture is damaged or incomplete.')).toBeVisible();
  await failures.getByText('Error after 4 attempts').click();
  await expect(failures.getByText('Input/output error')).toBeVisible();
  const storage = page.getByRole('region', { name: 'Storage' });
  await expect(storage.getByRole('listitem')).toContainText(['bertil']);
  await page.getByRole('main').evaluate((main) => main.scrollTo(0, 0));
  await inspect(page, 'admin');
  await page.setViewportSize({ width: 390, height: 844 });
  await inspect(page, 'admin-phone');

  await failures.getByRole('button', { name: 'Try unlucky.jpg again' }).click();
  await expect(page.getByText('1 is tried again.')).toBeVisible();
  await expect(failures.getByRole('listitem')).toHaveCount(1);
  await expect(queue.getByRole('listitem').first()).toContainText('Nothing to do');
  const media = await service.call<{ status: string }>('GET', `/api/media/${unlucky}`, undefined, token);
  expect(media.status).toBe('ready');

  for (const media of [unlucky, fine]) {
    await service.sql((sql) => sql`INSERT INTO job (media, kind, attempts, quarantined, last_error) VALUES (${media}, 'process', 4, true, 'x')`);
  }
  await page.reload();
  await expect(failures.getByText('Its thumbnails could not be made anew.')).toHaveCount(2);
  await failures.getByRole('button', { name: 'Try all 2 again' }).click();
  await expect(page.getByText('2 are tried again.')).toBeVisible();
  await expect(failures.getByRole('listitem')).toHaveCount(1);
  await expect(failures.getByRole('button')).toHaveCount(0);
  await page.getByRole('link', { name: 'Accounts and roles' }).click();
  await expect(page.getByLabel('Role of bertil')).toBeVisible();
});

test('others are told that the page is for administrators', async ({ page, service, token }) => {
  const { token: invite } = await service.call<{ token: string }>('POST', '/api/invites', {}, token);
  const member = { username: 'bertil', password: PASSWORD, invite };
  const { token: other } = await service.call<{ token: string }>('POST', '/api/auth/register', member);
  await page.addInitScript((session) => localStorage.setItem('session', session), JSON.stringify({ token: other, expires_at: '2999-01-01T00:00:00Z' }));
  await page.goto(`${service.origin}/admin`);
  await expect(page.getByRole('heading', { name: 'For administrators only' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Service', exact: true })).toHaveCount(0);
  await inspect(page, 'admin-forbidden');
});
