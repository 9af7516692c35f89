import { expect, test } from './support/fixtures.ts';
import { BOOTSTRAP_TOKEN, PASSWORD } from './support/service.ts';

test('while there is no account, every page asks for the bootstrap token, or takes it from a link', async ({ page, service }) => {
  for (const path of ['/', '/login', '/register', '/m/01ARZ3NDEKTSV4RRFFQ69G5FAV']) {
    await page.goto(service.origin + path);
    await expect(page.getByRole('heading', { name: 'First start' })).toBeVisible();
    await expect(page).toHaveURL(`${service.origin}/start`);
    await expect(page.getByLabel('Bootstrap token')).toBeFocused();
  }
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  for (const path of ['/start', '/register', '/']) {
    // An address that differs by its fragment alone loads nothing.
    await page.goto('about:blank');
    await page.goto(`${service.origin}${path}#bootstrap=${BOOTSTRAP_TOKEN}`);
    expect(page.url()).toBe(`${service.origin}/start`);
    await expect(page.getByLabel('User name')).toBeFocused();
    await expect(page.getByLabel('Bootstrap token')).toHaveCount(0);
  }
  expect(asked.join(' ')).not.toContain(BOOTSTRAP_TOKEN);
  await page.goBack();
  await page.goForward();
  expect(page.url()).not.toContain('#');
  await page.goto(`${service.origin}/start`);
  await expect(page.getByLabel('Bootstrap token')).toBeFocused();
  // A link that is opened in the same page.
  await page.evaluate((token) => (location.hash = `bootstrap=${token}`), BOOTSTRAP_TOKEN);
  await expect(page.getByLabel('Bootstrap token')).toHaveCount(0);
  await page.getByLabel('User name').fill('anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  expect(service.log.join(' ')).not.toContain(BOOTSTRAP_TOKEN);
});

test('once there is an account, others sign in', async ({ page, service }) => {
  await service.register();
  await page.goto(service.origin);
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  await page.goto(`${service.origin}/start#bootstrap=${BOOTSTRAP_TOKEN}`);
  await expect(page.getByRole('heading', { name: 'The first account exists' })).toBeVisible();
  await page.getByRole('link', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
});

test('a service that cannot be asked is told', async ({ page, service }) => {
  await page.route('**/api/auth/bootstrap', (route) => route.abort('connectionrefused'));
  await page.goto(service.origin);
  await expect(page.getByText('The service cannot be reached.')).toBeVisible();
  await page.unroute('**/api/auth/bootstrap');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('heading', { name: 'First start' })).toBeVisible();
});

test('the first load is small, and has nothing of Supabase', async ({ page, service, token }) => {
  expect(token).not.toBe('');
  const loaded: { url: string; size: Promise<number> }[] = [];
  page.on('requestfinished', (request) => {
    if (!['script', 'stylesheet'].includes(request.resourceType())) return;
    loaded.push({ url: request.url(), size: request.sizes().then(({ responseBodySize }) => responseBodySize) });
  });
  await page.goto(service.origin);
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  const sizes = await Promise.all(loaded.map(({ size }) => size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  expect(total).toBeGreaterThan(10_000);
  expect(total).toBeLessThan(120_000);
  expect(loaded.map(({ url }) => url).filter((url) => /supabase/i.test(url))).toEqual([]);
});
