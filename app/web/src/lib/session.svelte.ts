import type { Me, Media, Token } from './api/types';

const KEY = 'session';

/** A token that ends sooner is renewed before it is sent. */
const MARGIN_MS = 60_000;

/** What keeps the session where the service does not keep the accounts. */
export interface Keeper {
  /** Another token in place of this one; `null` if the session has ended. Fails while what gives tokens cannot be reached. */
  renew: (token: string) => Promise<string | null>;
  /** Forgets the session, also without a network. */
  end: () => Promise<void>;
}

/** Who is signed in. Other tabs of the browser follow. */
class Session {
  token = $state(read());
  me = $state.raw<Me | null>(null);
  /** Whether it ended without the user asking for it. */
  expired = $state(false);
  /** `null` where the service keeps the accounts. */
  keeper = $state.raw<Keeper | null>(null);
  #user = '';
  #endsAt = Infinity;
  #refused: string | null = null;
  /** The token that came in place of a refused one. */
  #replacement: string | null = null;
  #renewing: Promise<string | null> | null = null;

  constructor() {
    addEventListener('storage', (event) => {
      if (event.key !== KEY || this.keeper) return;
      this.me = null;
      this.token = read();
    });
  }

  get isAdmin(): boolean {
    return this.me?.role === 'admin';
  }

  /** Whether the user may have the file as it was received, and replace it: its uploader and admins. */
  owns(media: Media): boolean {
    return this.isAdmin || this.me?.username === media.uploader;
  }

  start({ token, expires_at }: Token): void {
    localStorage.setItem(KEY, JSON.stringify({ token, expires_at }));
    this.me = null;
    this.expired = false;
    this.token = token;
  }

  /** Takes the token of a keeper's session. `endsAt` is in milliseconds. */
  hold(user: string, token: string, endsAt: number): void {
    if (user !== this.#user) this.me = null;
    this.#user = user;
    this.#endsAt = endsAt;
    this.expired = false;
    this.token = token;
  }

  /** The token for the next request: where there is a keeper, one that does not end on the way. */
  async fresh(): Promise<string | null> {
    const { token, keeper } = this;
    if (!keeper || !token) return token;
    const isRefused = this.#refused === token;
    if (!isRefused && this.#endsAt - Date.now() > MARGIN_MS) return token;
    try {
      this.#renewing ??= keeper.renew(token).finally(() => (this.#renewing = null));
      const next = await this.#renewing;
      if (isRefused) this.#replacement = next;
      return next;
    } catch (error) {
      if (!isRefused && this.#endsAt > Date.now()) return token;
      throw error;
    }
  }

  /** Tells that the service refused a token. Returns whether there is to be another one, for the same request: not a third one. */
  refuse(token: string): boolean {
    if (!this.keeper || !this.token || token === this.#replacement) return false;
    if (token === this.token) this.#refused = token;
    return true;
  }

  /** Forgets the session in this browser. */
  async end(): Promise<void> {
    localStorage.removeItem(KEY);
    this.token = null;
    this.me = null;
    this.#user = '';
    this.#refused = null;
    this.#replacement = null;
    await this.keeper?.end();
  }

  expire(): void {
    void this.end();
    this.expired = true;
  }
}

function read(): string | null {
  try {
    const { token, expires_at } = JSON.parse(localStorage.getItem(KEY) ?? '') as Token;
    return new Date(expires_at) > new Date() ? token : null;
  } catch {
    return null;
  }
}

export const session = new Session();
