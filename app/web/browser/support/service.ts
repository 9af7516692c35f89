import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';

export const BOOTSTRAP_TOKEN = 'bootstrap-token-of-the-browser-tests-0123456789';
export const PASSWORD = 'a password of the tests';

const WEB = resolve(import.meta.dirname, '../..');
const BINARY = process.env['APP_BINARY'] ?? resolve(WEB, '../../target/debug/app');

/** The built service with the built UI, a database and a folder of its own. */
export class Service {
  #process: ChildProcess | undefined;
  #origin = '';

  private constructor(
    readonly log: string[],
    private readonly settings: Record<string, string>,
    private readonly folder: string,
    private readonly database: string,
  ) {}

  static async start(settings: Record<string, string> = {}): Promise<Service> {
    const database = `web_${randomUUID().replaceAll('-', '')}`;
    await onServer((sql) => sql.unsafe(`CREATE DATABASE ${database}`));
    const url = new URL(serverUrl());
    url.pathname = database;
    const folder = await mkdtemp(join(tmpdir(), 'web-test-'));
    const all = {
      DATABASE_URL: url.href,
      ...(settings['STORAGE_BACKEND'] ? {} : { UPLOAD_DIR: folder }),
      STATIC_DIR: join(WEB, 'dist'),
      JWT_SECRET: 'jwt-secret-of-the-browser-tests-0123456789',
      BOOTSTRAP_TOKEN,
      PORT: '0',
      ...settings,
    };
    const service = new Service([], all, folder, database);
    await service.go();
    return service;
  }

  get origin(): string {
    return this.#origin;
  }

  /** Ends the process at once, as a crash or a deploy that has no patience does. */
  async kill(): Promise<void> {
    const process = this.#process;
    if (!process) return;
    const exited = new Promise((done) => process.on('exit', done));
    process.kill('SIGKILL');
    await exited;
  }

  /** Starts the process, again at the port that it had. */
  async go(): Promise<void> {
    const port = this.#origin ? { PORT: new URL(this.#origin).port } : {};
    const child = spawn(BINARY, ['serve'], { env: { ...this.settings, ...port }, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    const { log } = this;
    const address = await new Promise<string>((done, fail) => {
      child.on('error', fail);
      child.on('exit', () => fail(new Error(`the service did not start:\n${log.join('\n')}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        log.push(line);
        const event = JSON.parse(line.startsWith('{') ? line : '{}') as { message?: string; address?: string };
        if (event.message === 'listening' && event.address) done(event.address);
      });
    });
    this.#origin = `http://${address}`;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true });
    await onServer((sql) => sql.unsafe(`DROP DATABASE ${this.database} WITH (FORCE)`));
  }

  /** Uses the service's database. */
  async sql<T>(use: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
    return onServer(use, this.database);
  }

  /** The answer's JSON. */
  async call<T>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
    // On a connection of its own: one that waited may be closed by the service while a request is on its way.
    const headers: Record<string, string> = { 'content-type': 'application/json', connection: 'close' };
    if (token) headers['authorization'] = `Bearer ${token}`;
    const init: RequestInit = { method, headers };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await fetch(this.origin + path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** The token of the first account, which is an admin. */
  async register(username = 'anna'): Promise<string> {
    const body = { username, password: PASSWORD, bootstrap_token: BOOTSTRAP_TOKEN };
    return (await this.call<{ token: string }>('POST', '/api/auth/register', body)).token;
  }
}

function serverUrl(): string {
  const url = process.env['TEST_DATABASE_URL'];
  if (!url) throw new Error('TEST_DATABASE_URL is not set: it names a PostgreSQL server on which tests make databases');
  return url;
}

async function onServer<T>(use: (sql: postgres.Sql) => PromiseLike<T>, database?: string): Promise<T> {
  // As in libpq, `?host=` may be the folder of a socket.
  const url = new URL(serverUrl());
  const folder = url.searchParams.get('host');
  url.searchParams.delete('host');
  if (database) url.pathname = database;
  const socket = folder?.startsWith('/') ? { path: `${folder}/.s.PGSQL.${url.port || '5432'}` } : {};
  const sql = postgres(url.href, { max: 1, onnotice: () => undefined, ...socket });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}
