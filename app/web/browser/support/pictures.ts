import type { Page } from '@playwright/test';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

/** Pictures that the browser draws: each differs, and has its number in large letters. Returns their paths. */
export async function draw(page: Page, count: number, sides: [number, number] = [900, 600]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'web-pictures-'));
  const drawn = await page.evaluate(
    async ([count, width, height]) => {
      const pictures: string[] = [];
      for (let number = 1; number <= count; number++) {
        const isTall = number % 3 === 0;
        const canvas = new OffscreenCanvas(isTall ? height : width, isTall ? width : height);
        const context = canvas.getContext('2d');
        if (!context) throw new Error('no canvas');
        const sky = context.createLinearGradient(0, 0, 0, canvas.height);
        sky.addColorStop(0, `hsl(${(number * 47) % 360} 60% 70%)`);
        sky.addColorStop(1, `hsl(${(number * 47 + 60) % 360} 50% 35%)`);
        context.fillStyle = sky;
        context.fillRect(0, 0, canvas.width, canvas.height);
        for (let hill = 0; hill < 4; hill++) {
          context.fillStyle = `hsl(${(number * 47 + 120) % 360} 35% ${40 - hill * 8}%)`;
          context.beginPath();
          context.moveTo(0, canvas.height);
          for (let x = 0; x <= canvas.width; x += 20) {
            context.lineTo(x, canvas.height * (0.55 + hill * 0.1) + Math.sin(x / (90 - hill * 12) + number * (hill + 1)) * 40);
          }
          context.lineTo(canvas.width, canvas.height);
          context.fill();
        }
        context.fillStyle = '#fff';
        context.font = 'bold 160px sans-serif';
        context.fillText(String(number), 40, 180);
        const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
        const bytes = new Uint8Array(await blob.arrayBuffer());
        pictures.push(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')));
      }
      return pictures;
    },
    [count, ...sides] as [number, number, number],
  );
  return Promise.all(
    drawn.map(async (base64, index) => {
      const path = join(folder, `picture-${index + 1}.jpg`);
      await writeFile(path, Buffer.from(base64, 'base64'));
      return path;
    }),
  );
}

/** A picture of 20 MB, for it is not compressed. `shade` makes it another one. Returns its path. */
export async function paintLarge(shade: number): Promise<string> {
  const [width, height] = [3000, 2300];
  const row = Buffer.from(Array.from({ length: 3 * width }, (_, place) => (place * 7 + shade) % 256));
  const rows = Array.from({ length: height }, () => Buffer.concat([Buffer.of(0), row]));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (name: string, data: Buffer): Buffer => {
    const content = Buffer.concat([Buffer.from(name), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(content));
    return Buffer.concat([length, content, sum]);
  };
  const pixels = deflateSync(Buffer.concat(rows), { level: 0 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const path = join(await mkdtemp(join(tmpdir(), 'web-pictures-')), `large-${shade}.png`);
  await writeFile(path, Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]));
  return path;
}

/** A clip of 4 seconds. Returns its path. */
export async function film(): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'web-pictures-')), 'clip.webm');
  const source = ['-f', 'lavfi', '-i', 'testsrc=duration=4:size=320x240:rate=10'];
  execFileSync('ffmpeg', ['-v', 'error', ...source, '-c:v', 'libvpx', '-deadline', 'realtime', path]);
  return path;
}

/** A picture with words in black on white. Returns its path. */
export async function write(page: Page, words: string): Promise<string> {
  const base64 = await page.evaluate(async (words) => {
    const canvas = new OffscreenCanvas(900, 200);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = '#000';
    context.font = '64px sans-serif';
    context.fillText(words, 40, 120);
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  }, words);
  const path = join(await mkdtemp(join(tmpdir(), 'web-pictures-')), 'sign.png');
  await writeFile(path, Buffer.from(base64, 'base64'));
  return path;
}

/** Whether this machine has all of these programs. */
export function hasPrograms(...names: string[]): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names.every((name) => folders.some((folder) => existsSync(join(folder, name))));
}
