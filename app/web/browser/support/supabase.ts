import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The public key of the stand-in's project. */
export const PUBLISHABLE_KEY = 'sb_publishable_of_the_browser_tests';

const LIFETIME_S = 3600;
const KEY_ID = 'e5256000-0000-4000-8000-000000000001';

interface User {
  id: string;
  email: string;
  /** Its digest. */
  password: string;
  isConfirmed: boolean;
}

interface Answer {
  status: number;
  body?: unknown;
  location?: string;
}

/** A mail that Supabase would have sent. */
interface Mail {
  to: string;
  type: 'signup' | 'recovery';
  link: string;
  token: string;
  redirect: string;
}

/** A stand-in of a Supabase project's auth server: what its users ask for, as the real one answered in 2026, with keys of its own. */
export class Supabase {
  readonly mails: Mail[] = [];
  /** Methods and paths, with the grant of `token`, in their order. */
  readonly asked: string[] = [];
  readonly #users: User[] = [];
  /** Each is good for one renewal. The real server forgives a second one within 10 seconds; here it fails. */
  readonly #refreshTokens = new Map<string, User>();
  readonly #usedTokens = new Set<string>();
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Supabase> {
    const server = createServer();
    const supabase = new Supabase(server);
    server.on('request', (request, response) => {
      void supabase.#respond(request).then(({ status, body, location }) => {
        response.writeHead(status, {
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
          'access-control-allow-headers': 'apikey, authorization, content-type, x-client-info, x-supabase-api-version',
          'access-control-expose-headers': 'x-total-count, link, x-supabase-api-version',
          'x-supabase-api-version': '2024-01-01',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(location ? { location } : {}),
        });
        response.end(body === undefined ? undefined : JSON.stringify(body));
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return supabase;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** With which the service uses it. */
  get settings(): Record<string, string> {
    return { AUTH_MODE: 'supabase', SUPABASE_URL: this.origin, SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE_KEY };
  }

  /** A user whose address is confirmed. */
  addUser(email: string, password: string): void {
    this.#users.push({ id: randomUUID(), email, password: digest(password), isConfirmed: true });
  }

  /** Ends all sessions: their tokens live on, and cannot be renewed. */
  endSessions(): void {
    this.#refreshTokens.clear();
  }

  /** How often sessions were renewed. */
  get renewals(): number {
    return this.asked.filter((what) => what === 'POST token refresh_token').length;
  }

  /** The link of the newest mail to an address. */
  link(to: string, type: Mail['type']): string {
    const mail = this.mails.findLast((mail) => mail.to === to && mail.type === type);
    if (!mail) throw new Error(`no mail of ${type} to ${to}`);
    return mail.link;
  }

  /** The token of a user that ends in so many seconds. */
  token(email: string, seconds: number, admin = false): string {
    const user = this.#users.find((user) => user.email === email);
    if (!user) throw new Error(`no user ${email}`);
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: `${this.origin}/auth/v1`,
      sub: user.id,
      aud: 'authenticated',
      exp: now + seconds,
      iat: now,
      email,
      phone: '',
      app_metadata: { provider: 'email', providers: ['email'], ...(admin ? { role: 'admin' } : {}) },
      user_metadata: { email, email_verified: true, phone_verified: false, sub: user.id },
      role: 'authenticated',
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: now }],
      session_id: randomUUID(),
      is_anonymous: false,
    };
    const message = `${encode({ alg: 'ES256', kid: KEY_ID, typ: 'JWT' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(message), { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${message}.${signature.toString('base64url')}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  async #respond(request: IncomingMessage): Promise<Answer> {
    if (request.method === 'OPTIONS') return { status: 204 };
    const url = new URL(request.url ?? '', this.origin);
    let text = '';
    for await (const part of request) text += String(part);
    const path = url.pathname.replace('/auth/v1/', '');
    const { searchParams: query } = url;
    this.asked.push([request.method, path, query.get('grant_type')].filter(Boolean).join(' '));
    if (path === '.well-known/jwks.json') return { status: 200, body: { keys: [this.#publicKey()] } };
    if (path === 'verify') return this.#verify(query);
    if (request.headers['apikey'] !== PUBLISHABLE_KEY) {
      return { status: 401, body: { message: 'No API key found in request', hint: 'No `apikey` request header or url param was found.' } };
    }
    const body = JSON.parse(text || '{}') as Record<string, string>;
    switch (`${request.method} ${path}`) {
      case 'POST signup':
        return this.#signUp(body, query);
      case 'POST token':
        return query.get('grant_type') === 'password' ? this.#signIn(body) : this.#renew(body);
      case 'POST recover': {
        const user = this.#users.find((user) => user.email === body['email']);
        if (user) this.#send(user, 'recovery', query);
        return { status: 200, body: {} };
      }
    }
    const user = this.#bearer(request);
    if (!user) return refused(403, 'bad_jwt', 'invalid JWT: unable to parse or verify signature');
    switch (`${request.method} ${path}`) {
      case 'GET user':
        return { status: 200, body: describe(user) };
      case 'PUT user':
        return this.#change(user, body);
      case 'POST logout':
        for (const [token, owner] of this.#refreshTokens) if (owner === user) this.#refreshTokens.delete(token);
        return { status: 204 };
      default:
        return { status: 404, body: '404 page not found' };
    }
  }

  #signUp({ email = '', password = '' }: Record<string, string>, query: URLSearchParams): Answer {
    if (password.length < 6) return weak();
    // Of an address that has an account, the real one tells nothing: the answer looks the same.
    const known = this.#users.find((user) => user.email === email);
    if (known?.isConfirmed) return { status: 200, body: { ...describe({ ...known, id: randomUUID() }), identities: [] } };
    const user = known ?? { id: randomUUID(), email, password: digest(password), isConfirmed: false };
    if (!known) this.#users.push(user);
    this.#send(user, 'signup', query);
    return { status: 200, body: { ...describe(user), confirmation_sent_at: new Date().toISOString() } };
  }

  #signIn({ email, password = '' }: Record<string, string>): Answer {
    const user = this.#users.find((user) => user.email === email && user.password === digest(password));
    if (!user) return refused(400, 'invalid_credentials', 'Invalid login credentials');
    if (!user.isConfirmed) return refused(400, 'email_not_confirmed', 'Email not confirmed');
    return { status: 200, body: { ...this.#session(user), weak_password: null } };
  }

  #renew({ refresh_token: token = '' }: Record<string, string>): Answer {
    if (this.#usedTokens.has(token)) return refused(400, 'refresh_token_already_used', 'Invalid Refresh Token: Already Used');
    const user = this.#refreshTokens.get(token);
    if (!user) return refused(400, 'refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found');
    this.#refreshTokens.delete(token);
    this.#usedTokens.add(token);
    return { status: 200, body: this.#session(user) };
  }

  #change(user: User, { password = '' }: Record<string, string>): Answer {
    if (password.length < 6) return weak();
    if (digest(password) === user.password) {
      return refused(422, 'same_password', 'New password should be different from the old password.');
    }
    user.password = digest(password);
    return { status: 200, body: describe(user) };
  }

  /** What the link of a mail does. */
  #verify(query: URLSearchParams): Answer {
    const place = this.mails.findIndex((mail) => mail.token === query.get('token') && mail.type === query.get('type'));
    const mail = this.mails[place];
    const user = this.#users.find((user) => user.email === mail?.to);
    const redirect = query.get('redirect_to') ?? '';
    if (!mail || !user) {
      const error = { error: 'access_denied', error_code: 'otp_expired', error_description: 'Email link is invalid or has expired' };
      return { status: 303, location: `${redirect}#${new URLSearchParams(error)}&sb=` };
    }
    mail.token = '';
    user.isConfirmed = true;
    const { access_token, expires_at, expires_in, refresh_token, token_type } = this.#session(user);
    const session = { access_token, expires_at: `${expires_at}`, expires_in: `${expires_in}`, refresh_token, sb: '', token_type, type: mail.type };
    return { status: 303, location: `${redirect}#${new URLSearchParams(session)}` };
  }

  #send(user: User, type: Mail['type'], query: URLSearchParams): void {
    const [token, redirect] = [digest(randomUUID()), query.get('redirect_to') ?? ''];
    const link = `${this.origin}/auth/v1/verify?${new URLSearchParams({ token, type, redirect_to: redirect })}`;
    this.mails.push({ to: user.email, type, link, token, redirect });
  }

  #session(user: User) {
    const refresh_token = randomUUID().slice(0, 12);
    this.#refreshTokens.set(refresh_token, user);
    return {
      access_token: this.token(user.email, LIFETIME_S),
      token_type: 'bearer',
      expires_in: LIFETIME_S,
      expires_at: Math.floor(Date.now() / 1000) + LIFETIME_S,
      refresh_token,
      user: describe(user),
    };
  }

  #bearer(request: IncomingMessage): User | undefined {
    const claims = request.headers.authorization?.split('.')[1] ?? '';
    try {
      const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string };
      return this.#users.find((user) => user.id === sub);
    } catch {
      return undefined;
    }
  }

  #publicKey(): object {
    const { kty, crv, x, y } = this.#keys.publicKey.export({ format: 'jwk' });
    return { alg: 'ES256', crv, ext: true, key_ops: ['verify'], kid: KEY_ID, kty, use: 'sig', x, y };
  }
}

function describe({ id, email, isConfirmed }: User) {
  const time = new Date().toISOString();
  return {
    id,
    aud: 'authenticated',
    role: 'authenticated',
    email,
    ...(isConfirmed ? { email_confirmed_at: time, confirmed_at: time, last_sign_in_at: time } : {}),
    phone: '',
    app_metadata: { provider: 'email', providers: ['email'] },
    user_metadata: { email, email_verified: isConfirmed, phone_verified: false, sub: id },
    identities: [{ identity_id: id, id, user_id: id, identity_data: { email, sub: id }, provider: 'email', email }],
    created_at: time,
    updated_at: time,
    is_anonymous: false,
  };
}

function refused(status: number, code: string, message: string): Answer {
  return { status, body: { code, message } };
}

function weak(): Answer {
  const message = 'Password should be at least 6 characters.';
  return { status: 422, body: { code: 'weak_password', message, weak_password: { reasons: ['length'], message } } };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
