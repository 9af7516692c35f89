import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@playwright/test';

test("the types of the API are those of the service's description", () => {
  const check = (): unknown =>
    execFileSync('npm', ['run', 'types', '--', '--check'], { cwd: resolve(import.meta.dirname, '..'), stdio: 'pipe', encoding: 'utf8' });
  expect(check, 'src/lib/api/schema.d.ts is stale; type: npm run types').not.toThrow();
});
