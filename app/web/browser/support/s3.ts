import { createHash, createHmac } from 'node:crypto';

/** Who signs requests, and of which region. */
export interface Signer {
  accessKey: string;
  secretKey: string;
  region: string;
}

/** Sends a request to an S3 server, signed by Signature Version 4. The query is one name without a value: a setting of a bucket. */
export async function putSetting(origin: string, bucket: string, setting: string, body: string, signer: Signer): Promise<void> {
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${at.slice(0, 8)}/${signer.region}/s3/aws4_request`;
  const headers: Record<string, string> = {
    'content-md5': createHash('md5').update(body).digest('base64'),
    host: new URL(origin).host,
    'x-amz-content-sha256': sha256(body),
    'x-amz-date': at,
  };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = `PUT\n/${bucket}\n${setting}=\n${lines.join('')}\n${names}\n${sha256(body)}`;
  const toSign = `AWS4-HMAC-SHA256\n${at}\n${scope}\n${sha256(request)}`;
  const key = scope.split('/').reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${signer.secretKey}`));
  const signature = hmac(key, toSign).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${signer.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const response = await fetch(`${origin}/${bucket}?${setting}`, { method: 'PUT', body, headers: { ...headers, authorization } });
  if (!response.ok) throw new Error(`PUT ?${setting}: ${response.status} ${await response.text()}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
