import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { request } from '../src/lib/api/request';
import { type Keeper, session } from '../src/lib/session.svelte';

const renew = vi.fn<Keeper['renew']>();
/** The tokens that the service takes. */
let good: string[];
let sent: (string | null)[];

/** Has the keeper give tokens of an hour, one after the other. */
function give(...tokens: string[]): void {
  renew.mockImplementation(async () => {
    await Promise.resolve();
    const token = tokens.shift() ?? null;
    if (token) session.hold('ada', token, Date.now() + 3_600_000);
    return token;
  });
}

beforeEach(() => {
  renew.mockReset();
  [good, sent] = [['first', 'second', 'third'], []];
  session.keeper = { renew, end: async () => undefined };
  session.hold('ada', 'first', Date.now() + 3_600_000);
  vi.stubGlobal('fetch', async (_: string, { headers }: RequestInit) => {
    const token = new Headers(headers).get('authorization')?.replace('Bearer ', '') ?? null;
    sent.push(token);
    if (token && good.includes(token)) return new Response('{}');
    return new Response('{"error":{"code":"unauthorized","message":""}}', { status: 401 });
  });
});

afterEach(async () => {
  session.keeper = null;
  await session.end();
  vi.unstubAllGlobals();
});

const ask = (): Promise<Response> => request('GET', '/api/media');

test('a token that is good is sent as it is', async () => {
  await ask();
  expect([sent, renew.mock.calls]).toEqual([['first'], []]);
});

test('a token that ends within a minute is renewed first, once for all requests', async () => {
  session.hold('ada', 'first', Date.now() + 50_000);
  give('second');
  await Promise.all([ask(), ask(), ask()]);
  expect([sent, renew.mock.calls]).toEqual([['second', 'second', 'second'], [['first']]]);
});

test('a token that the service refuses is renewed once for all requests, which are repeated', async () => {
  good = ['second'];
  give('second', 'third');
  await Promise.all([ask(), ask()]);
  expect(sent).toEqual(['first', 'first', 'second', 'second']);
  expect([renew.mock.calls, session.token]).toEqual([[['first']], 'second']);
});

test('if the service refuses the next token, too, the session has ended', async () => {
  good = [];
  give('second', 'third');
  await expect(ask()).rejects.toMatchObject({ code: 'unauthorized' });
  expect([sent, session.token, session.expired]).toEqual([['first', 'second'], null, true]);
});

test('while tokens cannot be renewed, one is sent until it ends; then requests fail, and the session stays', async () => {
  session.hold('ada', 'first', Date.now() + 50_000);
  renew.mockRejectedValueOnce(new Error('away'));
  await ask();
  expect(sent.splice(0)).toEqual(['first']);
  session.hold('ada', 'first', Date.now() - 1);
  renew.mockRejectedValueOnce(new Error('away'));
  await expect(ask()).rejects.toThrow('away');
  expect([sent, session.token]).toEqual([[], 'first']);
  give('second');
  await ask();
  expect(sent).toEqual(['second']);
});

test('where the service keeps the session, a refused token ends it', async () => {
  session.keeper = null;
  good = [];
  await expect(ask()).rejects.toMatchObject({ code: 'unauthorized' });
  expect([sent, session.token, session.expired]).toEqual([['first'], null, true]);
});
