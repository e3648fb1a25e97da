import { defineConfig } from '@playwright/test'
import type { ShopOptions } from './e2e/test'

/**
 * The built storefront in Debian's Chromium, served by the real backend: each worker starts a shop of its own
 * (`e2e/shop.ts`). CHROMIUM names another browser than /usr/bin/chromium.
 */
export default defineConfig<object, ShopOptions>({
  testDir: 'e2e',
  outputDir: '../var/e2e',
  reporter: 'list',
  workers: 2,
  timeout: 60_000,
  // Two cores, shared by Chromium, Django, its jobs and the simulator: slow is not wrong.
  expect: { timeout: 15_000 },
  forbidOnly: process.env.CI === 'true',
  // In CI once more, in a browser of its own; what passed only then is reported as flaky.
  retries: process.env.CI === 'true' ? 1 : 0,
  use: {
    actionTimeout: 15_000,
    locale: 'zh-CN',
    timezoneId: 'Asia/Shanghai',
    viewport: { width: 1280, height: 800 },
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'shop', testMatch: '*.spec.ts' },
    { name: 'screenshots', testMatch: 'screenshots.ts', timeout: 300_000 },
    { name: 'load', testMatch: 'load.ts' },
  ],
})
