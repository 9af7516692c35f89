import type { BrowserContext, Page } from '@playwright/test';
import { expect, inspect, test as base } from './support/fixtures.ts';
import { draw } from './support/pictures.ts';
import { PASSWORD, type Service } from './support/service.ts';
import { PUBLISHABLE_KEY, Supabase } from './support/supabase.ts';

/** The service with the accounts of a project. */
const test = base.extend<{ supabase: Supabase }>({
  // eslint-disable-next-line no-empty-pattern -- Playwright reads the names of what a fixture takes.
  supabase: async ({}, use) => {
    const supabase = await Supabase.start();
    await use(supabase);
    await supabase.stop();
  },
  settings: async ({ supabase }, use) => use(supabase.settings),
});

const ADA = 'ada@example.org';

async function signIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('E-mail address').fill(ADA);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** A page of a user who is signed in. */
async function enter(page: Page, service: Service, supabase: Supabase): Promise<void> {
  supabase.addUser(ADA, PASSWORD);
  await page.goto(service.origin);
  await signIn(page);
  await expect(page.getByText('Nothing here yet')).toBeVisible();
}

/** Changes the session that the browser keeps, as time does. */
async function change(page: Page, session: { access_token: string; expires_at?: number }): Promise<void> {
  await page.evaluate((session) => {
    const kept = JSON.parse(localStorage.getItem('supabase') ?? '') as object;
    localStorage.setItem('supabase', JSON.stringify({ ...kept, ...session }));
  }, session);
}

test('from the registration to a new password, by the links of mails', async ({ page, service, supabase }) => {
  // A link asks whether its account is the user's.
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(`${service.origin}/`);
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  await expect(page.getByLabel('User name')).toHaveCount(0);
  await inspect(page, 'supabase-login');

  await page.getByRole('link', { name: 'Create account' }).click();
  await inspect(page, 'supabase-register');
  await page.getByLabel('E-mail address').fill(ADA);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText(`Open the link that was sent to ${ADA}`)).toBeVisible();
  await inspect(page, 'supabase-sent');
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signIn(page);
  await expect(page.getByText('Open the link in the mail')).toBeVisible();
  await page.goto(supabase.link(ADA, 'signup'));
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  expect(page.url()).toBe(`${service.origin}/`);

  await page.locator('input[type=file]').first().setInputFiles(await draw(page, 1));
  await expect(page.getByText('1 file is uploaded')).toBeVisible();
  await page.getByRole('link', { name: 'Settings' }).click();
  await expect(page.getByText(`You are ${ADA}, Member.`)).toBeVisible();
  for (const name of ['Sessions', 'Change password']) await expect(page.getByRole('heading', { name })).toHaveCount(0);
  await page.getByLabel('Name', { exact: true }).fill('backup');
  await page.getByRole('button', { name: 'Create API key' }).click();
  await expect(page.getByLabel('Your new API key')).toBeVisible();
  await inspect(page, 'supabase-settings');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  expect(await page.evaluate(() => Object.keys(localStorage).filter((key) => key === 'supabase'))).toEqual([]);
  await expect.poll(() => supabase.asked.at(-1)).toBe('POST logout');
  await page.reload();
  await signIn(page, 'a wrong password');
  await expect(page.getByText('The e-mail address or the password is wrong.')).toBeVisible();

  await page.getByRole('link', { name: 'Forgot your password?' }).click();
  await page.getByLabel('E-mail address').fill(ADA);
  await inspect(page, 'supabase-reset');
  await page.getByRole('button', { name: 'Send link' }).click();
  await expect(page.getByText('is on its way')).toBeVisible();
  const link = supabase.link(ADA, 'recovery');
  await page.goto(link);
  await expect(page.getByText(`For the account ${ADA}.`)).toBeVisible();
  expect(page.url()).toBe(`${service.origin}/password`);
  await page.getByLabel('New password').fill('short');
  await page.getByRole('button', { name: 'Save password' }).click();
  await expect(page.getByText('at least 6 characters')).toBeVisible();
  await page.getByLabel('New password').fill('another password of the tests');
  await inspect(page, 'supabase-password');
  await page.getByRole('button', { name: 'Save password' }).click();
  await expect(page.getByText('The password is changed.')).toBeVisible();
  await expect(page.getByRole('listitem')).toHaveCount(1);

  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto(link);
  await expect(page.getByText('This link is used or has expired.')).toBeVisible();
  await inspect(page, 'supabase-expired-link');
  await signIn(page, 'another password of the tests');
  await expect(page.getByRole('listitem')).toHaveCount(1);
  expect(service.log.join(' ')).not.toMatch(/access_token|refresh_token|eyJ/);
});

test('tabs that come back after the end of a token renew it once, and sign out together', async ({ page, context, service, supabase }) => {
  await enter(page, service, supabase);
  const now = Math.floor(Date.now() / 1000);
  await change(page, { access_token: supabase.token(ADA, -120), expires_at: now - 120 });
  const tabs = await open(context, page, service.origin);
  for (const tab of tabs) await expect(tab.getByText('Nothing here yet')).toBeVisible();
  expect(supabase.renewals).toBe(1);

  // The clock of this machine is behind: the service refuses a token that is good here.
  await change(page, { access_token: supabase.token(ADA, -120) });
  await page.reload();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  expect(supabase.renewals).toBe(2);

  await page.goto(`${service.origin}/settings`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  for (const tab of tabs) await expect(tab.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
});

test('a page that is left open renews its token before that ends, and goes on to be told', async ({ page, service, supabase }) => {
  await page.clock.install();
  const streams: string[] = [];
  page.on('response', (response) => response.url().endsWith('/api/events') && streams.push(`${response.status()}`));
  await enter(page, service, supabase);
  await expect.poll(() => streams).toEqual(['200']);
  await page.clock.fastForward('58:00');
  expect(supabase.renewals).toBe(0);
  await page.clock.fastForward('01:00');
  await expect.poll(() => supabase.renewals).toBe(1);
  await expect.poll(() => streams).toEqual(['200', '200']);
});

test('a session that cannot be renewed asks to sign in, and one that Supabase cannot be asked about stays', async ({ page, service, supabase }) => {
  await enter(page, service, supabase);
  await change(page, { access_token: supabase.token(ADA, -120), expires_at: 1 });
  await page.route(`${supabase.origin}/**`, (route) => route.abort('connectionrefused'));
  // The library tries for half a minute.
  await page.clock.install();
  await page.reload();
  await expect(async () => {
    await page.clock.runFor(10_000);
    await expect(page.getByText('cannot be reached')).toBeVisible({ timeout: 500 });
  }).toPass();
  await page.unroute(`${supabase.origin}/**`);
  await page.clock.runFor(120_000);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('Nothing here yet')).toBeVisible();

  supabase.endSessions();
  await change(page, { access_token: supabase.token(ADA, -120), expires_at: 1 });
  await page.reload();
  await expect(page.getByText('Your session has ended')).toBeVisible();
});

test('sign-out ends the session at Supabase, also if its token has ended', async ({ page, service, supabase }) => {
  await enter(page, service, supabase);
  await page.getByRole('link', { name: 'Settings' }).click();
  await change(page, { access_token: supabase.token(ADA, -120), expires_at: 1 });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  await expect.poll(() => supabase.asked.slice(-2)).toEqual(['POST token refresh_token', 'POST logout']);
});

test('the link of a mail is not lost when Supabase cannot be reached for a moment', async ({ page, service, supabase }) => {
  page.on('dialog', (dialog) => void dialog.accept());
  supabase.addUser(ADA, PASSWORD);
  const headers = { apikey: PUBLISHABLE_KEY };
  await fetch(`${supabase.origin}/auth/v1/recover?redirect_to=${service.origin}/`, { method: 'POST', headers, body: JSON.stringify({ email: ADA }) });
  await page.route(`${supabase.origin}/auth/v1/user`, (route) => route.abort('connectionrefused'));
  await page.goto(supabase.link(ADA, 'recovery'));
  await expect(page.getByText('The service cannot be reached.')).toBeVisible();
  expect(page.url()).not.toContain('token');
  await page.unroute(`${supabase.origin}/auth/v1/user`);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByLabel('New password').fill('another password of the tests');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
});

test('a link with tokens of another account is not taken unless the user says so', async ({ page, service, supabase }) => {
  await enter(page, service, supabase);
  const other = 'mallory@example.org';
  supabase.addUser(other, PASSWORD);
  const asked: string[] = [];
  page.on('dialog', (dialog) => {
    asked.push(dialog.message());
    void dialog.dismiss();
  });
  const link = (token: string) => `${service.origin}/settings#access_token=${token}&refresh_token=none&type=magiclink`;
  await page.goto(link(supabase.token(other, 3600)));
  await expect(page.getByText(`You are ${ADA}, Member.`)).toBeVisible();
  expect(asked).toEqual([`This link signs you in as ${other}. Is this your account?`]);
  expect(page.url()).not.toContain('token');

  // A link whose session has ended ends none here.
  await page.goto('about:blank');
  await page.goto(link('junk'));
  await expect(page.getByText(`You are ${ADA}, Member.`)).toBeVisible();
  expect(asked).toHaveLength(1);
});

test('an administrator manages accounts, and there are no invites', async ({ page, service, supabase }) => {
  await enter(page, service, supabase);
  await change(page, { access_token: supabase.token(ADA, 3600, true) });
  await page.goto(`${service.origin}/people`);
  await expect(page.getByLabel(`Role of ${ADA}`)).toHaveValue('admin');
  await expect(page.getByRole('heading', { name: 'Invites' })).toHaveCount(0);
  await inspect(page, 'supabase-people');
});

/** A second page in the browser; both load at the same time. */
async function open(context: BrowserContext, page: Page, origin: string): Promise<Page[]> {
  const other = await context.newPage();
  await Promise.all([page.reload(), other.goto(origin)]);
  return [page, other];
}
