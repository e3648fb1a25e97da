import { expect, type Locator, type Page } from '@playwright/test'

/** What a shopper does and sees, in one place, so that a test reads as its story. */

export const outcome = (page: Page): Locator => page.getByTestId('outcome')

export async function expectState(page: Page, state: string): Promise<void> {
  await expect(outcome(page)).toHaveAttribute('data-state', state)
}

export async function buyNow(page: Page): Promise<void> {
  await page.getByTestId('buy').click()
}

/** From the simulator's cashier, where the browser is, back to the shop. */
export async function payAtCashier(page: Page): Promise<void> {
  await signInAtCashier(page)
  await page.locator('button[name=outcome][value=return]').click()
  await expect(page).toHaveURL(/\/pay\/success\?/)
}

/** The trade begins to exist at Alipay. */
export async function signInAtCashier(page: Page): Promise<void> {
  await expectCashier(page)
  await page.locator('form[action="/cashier/scan"] button').click()
}

export async function expectCashier(page: Page): Promise<void> {
  await expect(page).toHaveURL(/\/cashier\?payOrderId=/)
}

/** The stream is open and has spoken. */
export async function expectLive(page: Page, timeout?: number): Promise<void> {
  await expect(page.getByTestId('live')).toHaveAttribute('data-connection', 'live', { timeout })
}

/** Nothing hangs out at the side. */
export async function expectNoSideways(page: Page): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  expect(over).toBeLessThanOrEqual(0)
}
