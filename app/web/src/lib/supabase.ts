import { AuthClient, isAuthError, isAuthRetryableFetchError, type Session as Kept } from '@supabase/auth-js';
import { ApiError } from './api/request';
import type { Project } from './api/types';
import { t } from './i18n/index.svelte';
import { type AuthLink, router } from './router.svelte';
import { type Keeper, session } from './session.svelte';

// Only where a project at Supabase keeps the accounts: this module and the library are loaded then.

/** Under which the library keeps the session in the browser. */
const KEY = 'supabase';

/** How long before its end a token is renewed. */
const LEAD_MS = 75_000;

/** As Supabase calls the error of a link that is used or has expired. */
const USED = 'otp_expired';

/** At least between two renewals by the clock. */
const PAUSE_MS = 15_000;

/** How long the project may take for an answer. Other tabs wait for a renewal, too. */
const ANSWER_MS = 15_000;

/** The user's session at a project. */
class Supabase implements Keeper {
  readonly #client: InstanceType<typeof AuthClient>;
  readonly #project: Project;
  #clock: ReturnType<typeof setTimeout> | undefined;
  #follows = false;

  constructor(project: Project) {
    const { url, publishable_key } = project;
    this.#project = project;
    this.#client = new AuthClient({
      fetch: ask,
      url: `${url}/auth/v1`,
      headers: { apikey: publishable_key },
      storageKey: KEY,
      // It renews at once in each tab, and takes the tokens of any link: both are done here.
      autoRefreshToken: false,
      detectSessionInUrl: false,
    });
    addEventListener('storage', ({ key, newValue }) => {
      if (key === KEY && newValue === null) this.#take(null);
    });
  }

  /** Takes up the session of a link, if the user wants it, or that which this browser has. */
  async resume(link: AuthLink | null): Promise<void> {
    if (link?.tokens && (await this.#isWanted(link.tokens.access_token))) {
      router.go(link.type === 'recovery' || link.type === 'invite' ? '/password' : '/', 'replace');
      const { data, error } = await this.#client.setSession(link.tokens);
      if (error) throw toApiError(error);
      this.#take(data.session, false);
    } else {
      await this.renew(null);
    }
    if (this.#follows) return;
    this.#follows = true;
    // Also what other tabs do.
    this.#client.onAuthStateChange((event, kept) => {
      if (kept || event === 'SIGNED_OUT') this.#take(kept, true);
    });
  }

  async renew(token: string | null): Promise<string | null> {
    return alone(async () => {
      const before = read();
      if (token !== null && before?.access_token !== token) {
        // Another tab was ahead.
        this.#take(before, true);
        return before?.access_token ?? null;
      }
      // This renews what has ended by the clock of this machine, which may be wrong.
      const stored = await this.#client.getSession();
      const isSame = token !== null && stored.data.session?.access_token === token;
      const { data, error } = isSame ? await this.#client.refreshSession() : stored;
      if (error && isAuthRetryableFetchError(error)) throw toApiError(error);
      if (error?.name === 'AuthRefreshDiscardedError') {
        // Meanwhile, another tab has signed in or out.
        const now = read();
        this.#take(now, true);
        return now?.access_token ?? null;
      }
      if (error) session.expire();
      this.#take(data.session, data.session?.access_token !== before?.access_token);
      return data.session?.access_token ?? null;
    });
  }

  async end(): Promise<void> {
    const kept = read();
    localStorage.removeItem(KEY);
    this.#take(null);
    // Without a network the session stays at Supabase until it ends there; this browser has forgotten it.
    if (kept) await this.#endThere(kept).catch(() => undefined);
  }

  /** Ends a session at the project. A token that has ended ends nothing: then the session gets one more. */
  async #endThere({ access_token, refresh_token, expires_at = 0 }: Kept): Promise<void> {
    if (expires_at * 1000 > Date.now()) {
      const { error } = await this.#client.admin.signOut(access_token, 'local');
      if (!error || isAuthRetryableFetchError(error)) return;
    }
    const { url, publishable_key } = this.#project;
    const answer = await ask(`${url}/auth/v1/token?grant_type=refresh_token`, {
      method: 'POST',
      headers: { apikey: publishable_key, 'content-type': 'application/json' },
      body: JSON.stringify({ refresh_token }),
    });
    if (!answer.ok) return;
    const renewed = (await answer.json()) as { access_token: string };
    await this.#client.admin.signOut(renewed.access_token, 'local');
  }

  async signIn(email: string, password: string): Promise<void> {
    const { data, error } = await this.#client.signInWithPassword({ email, password });
    if (error) throw toApiError(error);
    this.#take(data.session, true);
  }

  /** Makes an account. Returns whether it is signed in; else the address is to be confirmed by a link first. */
  async signUp(email: string, password: string): Promise<boolean> {
    const { data, error } = await this.#client.signUp({ email, password, options: { emailRedirectTo: landing() } });
    if (error) throw toApiError(error);
    this.#take(data.session, true);
    return data.session !== null;
  }

  /** Has a link sent by which a new password can be set. */
  async sendReset(email: string): Promise<void> {
    const { error } = await this.#client.resetPasswordForEmail(email, { redirectTo: landing() });
    if (error) throw toApiError(error);
  }

  async setPassword(password: string): Promise<void> {
    await session.fresh();
    // The library writes the session: no other tab may renew it meanwhile.
    const { error } = await alone(() => this.#client.updateUser({ password }));
    if (error) throw toApiError(error);
  }

  /** The address of the user who is signed in. */
  async email(): Promise<string> {
    return (await this.#client.getSession()).data.session?.user.email ?? '';
  }

  /**
   * Whether the user wants the session of a link. Any page can lead here, with tokens of another account: uploads would become that one's.
   * The library is not asked: it would end the session that this browser has, if the link's has ended.
   */
  async #isWanted(token: string): Promise<boolean> {
    const { url, publishable_key } = this.#project;
    const headers = { apikey: publishable_key, authorization: `Bearer ${token}` };
    const answer = await ask(`${url}/auth/v1/user`, { headers }).catch((error: unknown) => {
      throw new ApiError(0, 'offline', String(error));
    });
    if (!answer.ok) throw new ApiError(403, USED, '');
    const { id, email } = (await answer.json()) as { id: string; email?: string };
    return read()?.user.id === id || confirm(t('link.sign_in', { email: email ?? id }));
  }

  /** `isNew` if it was given out a moment ago: then its end is known by this machine's clock, which may be wrong. */
  #take(kept: Kept | null, isNew = false): void {
    if (kept && kept.access_token === session.token) return;
    clearTimeout(this.#clock);
    if (!kept) {
      session.token = null;
      session.me = null;
      return;
    }
    const endsAt = isNew ? Date.now() + kept.expires_in * 1000 : (kept.expires_at ?? 0) * 1000;
    const token = kept.access_token;
    session.hold(kept.user.id, token, endsAt);
    const pause = Math.max(endsAt - Date.now() - LEAD_MS, PAUSE_MS);
    // If it fails, the next request renews the token, or tells why that is not possible.
    this.#clock = setTimeout(() => void this.renew(token).catch(() => undefined), pause);
  }
}

let kept: Supabase | null = null;

/** The link that the page was opened by, until the project has said what it gives. */
let link: AuthLink | null = null;

/** Has the project keep the session from now on. Returns why the link that the page was opened by gives none, if it does not. */
export async function keepAt(project: Project): Promise<ApiError | null> {
  kept ??= new Supabase(project);
  session.keeper = kept;
  link = router.takeAuthLink() ?? link;
  let used: ApiError | null = null;
  try {
    await kept.resume(link);
  } catch (error) {
    // Its tokens are in no other place: where the project cannot be reached, the user tries again. What it refuses, it would refuse again.
    if (!(error instanceof ApiError && error.code === 'offline')) link = null;
    if (!(error instanceof ApiError) || error.code !== USED) throw error;
    used = error;
  }
  const failed = used ?? (link?.error ? new ApiError(403, link.error, '') : null);
  link = null;
  if (used) await kept.resume(null);
  return failed;
}

/** The project that keeps the session. */
export function supabase(): Supabase {
  if (!kept) throw new Error('no project keeps the session');
  return kept;
}

/** A renewal that is refused because there are too many is only late: the library would end the session. */
async function ask(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const answer = await fetch(input, { ...init, signal: AbortSignal.timeout(ANSWER_MS) });
  const address = input instanceof Request ? input.url : input.toString();
  if (answer.status !== 429 || !address.includes('grant_type=refresh_token')) return answer;
  return new Response(answer.body, { status: 503, headers: answer.headers });
}

/** Where the links of mails lead. The project must allow it. */
function landing(): string {
  return `${location.origin}/`;
}

/** Runs it while no other tab does. Pages that are not secure have no locks: there, Supabase tells the renewals of two tabs apart. */
async function alone<T>(run: () => Promise<T>): Promise<T> {
  const locks = navigator.locks as LockManager | undefined;
  return locks ? await locks.request(KEY, run) : await run();
}

/** The session in the browser's store. */
function read(): Kept | null {
  return JSON.parse(localStorage.getItem(KEY) ?? 'null') as Kept | null;
}

function toApiError(error: unknown): ApiError {
  if (!isAuthError(error) || isAuthRetryableFetchError(error)) return new ApiError(0, 'offline', String(error));
  // Its rules for passwords are its own, and only its message tells them.
  const code = error.code === 'weak_password' ? 'weak_password_elsewhere' : (error.code ?? 'internal');
  return new ApiError(error.status ?? 400, code, error.message);
}
