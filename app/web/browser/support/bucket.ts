import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { putSetting } from './s3.ts';

/** The program of versitygw, an S3 server. */
export const VERSITYGW = process.env['VERSITYGW'];

const BUCKET = 'media';
const REGION = 'us-east-1';
const ACCESS_KEY = 'browser-tests';
const SECRET_KEY = 'secret-key-of-the-browser-tests';

const STACK = resolve(import.meta.dirname, '../../../../infra/aws/media.tf');

/** An S3 server with an empty bucket. Pages of any origin may use it, or those only that the rules of `infra/aws` allow. */
export class Bucket {
  private constructor(
    readonly origin: string,
    private readonly process: ChildProcess,
    private readonly folder: string,
  ) {}

  static async start(allowedOrigins?: string[]): Promise<Bucket> {
    if (!VERSITYGW) throw new Error('VERSITYGW is not set: it names the S3 server');
    const folder = await mkdtemp(join(tmpdir(), 'web-bucket-'));
    await mkdir(join(folder, 'buckets', BUCKET), { recursive: true });
    await mkdir(join(folder, 'spool'));
    const port = await freePort();
    const options = ['--quiet', '--region', REGION, '--port', `127.0.0.1:${port}`];
    const anyOrigin = allowedOrigins ? [] : ['--cors-allow-origin', '*'];
    const child = spawn(VERSITYGW, [...options, ...anyOrigin, 'posix', join(folder, 'buckets')], {
      env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const failed = new Promise<never>((_, fail) => {
      child.on('error', fail);
      child.on('exit', (code) => fail(new Error(`the S3 server ended with ${code}`)));
    });
    failed.catch(() => undefined);
    await Promise.race([failed, accepts(port, () => child.exitCode === null)]);
    const bucket = new Bucket(`http://127.0.0.1:${port}`, child, folder);
    if (allowedOrigins?.length) await bucket.allow(allowedOrigins);
    return bucket;
  }

  /** Sets the rules of the stack for these origins. */
  async allow(origins: string[]): Promise<void> {
    const stack = await readFile(STACK, 'utf8');
    const list = (name: string): string[] => {
      const value = new RegExp(`${name} += \\[(.*)\\]`).exec(stack.split('cors_rule {')[1] ?? '')?.[1];
      if (!value) throw new Error(`${STACK} has no ${name}`);
      return JSON.parse(`[${value}]`) as string[];
    };
    const elements = (name: string, values: string[]): string => values.map((value) => `<${name}>${value}</${name}>`).join('');
    const rule = [
      elements('AllowedOrigin', origins),
      elements('AllowedMethod', list('allowed_methods')),
      elements('AllowedHeader', list('allowed_headers')),
      elements('ExposeHeader', list('expose_headers')),
    ];
    const rules = `<CORSConfiguration><CORSRule>${rule.join('')}</CORSRule></CORSConfiguration>`;
    await putSetting(this.origin, BUCKET, 'cors', rules, { accessKey: ACCESS_KEY, secretKey: SECRET_KEY, region: REGION });
  }

  /** With which the service uses it. */
  get settings(): Record<string, string> {
    return {
      STORAGE_BACKEND: 's3',
      S3_BUCKET: BUCKET,
      S3_REGION: REGION,
      S3_ENDPOINT: this.origin,
      S3_ACCESS_KEY_ID: ACCESS_KEY,
      S3_SECRET_ACCESS_KEY: SECRET_KEY,
      SPOOL_DIR: join(this.folder, 'spool'),
    };
  }

  async stop(): Promise<void> {
    const exited = new Promise((done) => this.process.on('exit', done));
    this.process.kill('SIGKILL');
    await exited;
    await rm(this.folder, { recursive: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => done(port));
    });
  });
}

/** Waits until a connection to the port is accepted. */
async function accepts(port: number, isRunning: () => boolean): Promise<void> {
  while (isRunning()) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        done(true);
      });
      socket.on('error', () => setTimeout(() => done(false), 20));
    });
    if (isOpen) return;
  }
}
