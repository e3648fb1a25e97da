import type { Page } from '@playwright/test'
import { expect, test } from './test'

/**
 * What a first visit costs, by the browser's own performance API, from the server that the shop has.
 *
 *   npm run load
 */
const LIMIT_KB = 150

interface Figures {
  requests: number
  kilobytes: number
  domContentLoaded: number
  largestPaint: number
}

test('the first load of a course page', async ({ browser, shop, api }) => {
  const course = await api.course('Python 编程·入门')
  const rows: string[] = []
  for (const address of ['/', `/courses/${course.id}`, '/sign-in', '/cart']) {
    const context = await browser.newContext({ baseURL: shop.url, locale: 'zh-CN' })
    const page = await context.newPage()
    const figures = await load(page, address)
    rows.push(row(address, figures))
    if (address.startsWith('/courses')) expect(figures.kilobytes).toBeLessThanOrEqual(LIMIT_KB)
    await context.close()
  }
  console.log(['', ...rows].join('\n'))
})

/**
 * Everything up to a quiet network, as compressed as it came over the wire. Nothing is cached. Headers are left out:
 * the browser does not measure them, and adds 300 bytes a request to `transferSize`.
 */
async function load(page: Page, address: string): Promise<Figures> {
  await page.goto(address, { waitUntil: 'networkidle' })
  return page.evaluate(async () => {
    const [page] = performance.getEntriesByType('navigation') as [PerformanceNavigationTiming]
    const resources = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
    const all = [page, ...resources]
    const paints = await new Promise<PerformanceEntryList>((resolve) => {
      const observer = new PerformanceObserver((list) => resolve(list.getEntries()))
      observer.observe({ type: 'largest-contentful-paint', buffered: true })
    })
    return {
      requests: all.length,
      kilobytes: all.reduce((sum, each) => sum + each.encodedBodySize, 0) / 1000,
      domContentLoaded: page.domContentLoadedEventEnd,
      largestPaint: paints.at(-1)?.startTime ?? 0,
    }
  })
}

function row(address: string, figures: Figures): string {
  const { requests, kilobytes, domContentLoaded, largestPaint } = figures
  return [
    address.padEnd(12),
    `${requests} requests`.padStart(12),
    `${kilobytes.toFixed(1)} kB`.padStart(10),
    `DOMContentLoaded ${domContentLoaded.toFixed(0)} ms`.padStart(25),
    `LCP ${largestPaint.toFixed(0)} ms`.padStart(13),
  ].join('  ')
}
