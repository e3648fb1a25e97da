import type { Browser, Page } from '@playwright/test'
import { mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Account, Api } from './api'
import { expect, PASSWORD, signInAs, test } from './test'

/**
 * Every page, wide and narrow, in both languages, into frontend/screenshots: to be looked at.
 *
 *   npm run screenshots
 */
const FOLDER = fileURLToPath(new URL('../screenshots/', import.meta.url))
const LANGUAGES = ['zh-CN', 'en'] as const
const WIDTHS = { 1440: 900, 360: 740 } as const

type Shots = (name: string, address: string, act?: (page: Page) => Promise<unknown>) => Promise<void>

test('every page', async ({ browser, shop, api }) => {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER)
  const staff = await api.signIn('staff', 'staff')
  let guest = 0
  const newcomer = await api.signIn('buyer2', 'buyer2')
  for (const locale of LANGUAGES) {
    for (const width of [1440, 360] as const) {
      const customer = await api.signIn(`guest${guest++}`, PASSWORD)
      const orders = await history(api, staff, customer)
      const open = (account: Account | null) => shooter(browser, { locale, width, url: shop.url, account })
      await asVisitor(await open(null))
      await asNewcomer(await open(newcomer))
      await asCustomer(await open(customer), orders)
      await whenThingsGoWrong(await open(customer), orders)
    }
  }
})

/** Orders in every state that can be had at once. */
async function history(api: Api, staff: Account, buyer: Account) {
  const course = (name: string) => api.course(name)
  const cancelled = await api.order(buyer, await course('Redis 实战·大师班'))
  await api.graphql(
    'mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { __typename } }',
    { input: { orderId: cancelled.id } },
    buyer.token,
  )
  const refunded = await api.paidOrder(buyer, await course('Vue 3 前端·入门'))
  const partly = await api.paidOrder(buyer, await course('Python 编程·入门'), await course('Linux 运维·进阶'))
  const refund =
    'mutation ($input: RefundOrderInput!) { refundOrder(input: $input) { ... on UserError { code } } }'
  for (const [order, amount] of [
    [refunded, null],
    [partly, '9.90'],
  ] as const) {
    const input = { orderId: order.id, amount, reason: '课程不合适', idempotencyKey: 'one' }
    await api.graphql(refund, { input }, staff.token)
  }
  const paid = await api.paidOrder(buyer, await course('算法与数据结构·实战'))
  const waiting = await api.order(buyer, await course('GraphQL 接口设计·实战'))
  return { cancelled, refunded, partly, paid, waiting }
}

interface Look {
  locale: string
  width: keyof typeof WIDTHS
  url: string
  account: Account | null
}

async function shooter(browser: Browser, { locale, width, url, account }: Look): Promise<Shots> {
  const context = await browser.newContext({
    baseURL: url,
    locale,
    viewport: { width, height: WIDTHS[width] },
    timezoneId: 'Asia/Shanghai',
    reducedMotion: 'reduce',
  })
  if (account) await signInAs(context, url, account)
  const page = await context.newPage()
  return async (name, address, act = settled) => {
    await page.goto(address)
    await act(page)
    await settled(page)
    await page.screenshot({
      path: `${FOLDER}${name}.${width}.${locale}.png`,
      fullPage: !(await page.getByRole('dialog').isVisible()),
    })
  }
}

/** Nothing is loading any more. */
async function settled(page: Page): Promise<void> {
  await expect(page.locator('main h1, main h2').first()).toBeVisible()
  await expect(page.locator('main .lines[role=status], [data-kind=looking]')).toHaveCount(0)
}

async function asVisitor(shoot: Shots): Promise<void> {
  await shoot('courses', '/')
  await shoot('courses-found', '/?search=Django')
  await shoot('courses-none', '/?search=nothing-like-it')
  await shoot('course', '/courses/1')
  await shoot('course-missing', '/courses/999999')
  await shoot('cart-empty', '/cart')
  await shoot('sign-in', '/sign-in?next=/orders')
  await shoot('sign-in-wrong', '/sign-in', async (page) => {
    await page.locator('[name=username]').fill('nobody')
    await page.locator('[name=password]').fill('nothing')
    await page.locator('form button').click()
    await expect(page.getByRole('alert')).not.toBeEmpty()
  })
  await shoot('missing', '/nowhere')
}

async function asNewcomer(shoot: Shots): Promise<void> {
  await shoot('orders-none', '/orders')
  await shoot('my-courses-none', '/my-courses')
}

type Orders = Awaited<ReturnType<typeof history>>

async function asCustomer(shoot: Shots, orders: Orders): Promise<void> {
  await shoot('courses-signed-in', '/')
  await shoot('cart', '/?search=Docker', async (page) => {
    for (const left of [3, 2, 1, 0]) {
      await page.locator('button.add').first().click() // which then is a link
      await expect(page.locator('button.add')).toHaveCount(left)
    }
    await page.goto('/cart')
  })
  await shoot('course-dialog', '/courses/1', async (page) => {
    await page.goto(`/?search=GraphQL`)
    await page.getByRole('link', { name: 'GraphQL 接口设计·大师班' }).click()
    await page.route('**/graphql', async (route) => {
      if (!route.request().postData()?.includes('CreateOrder')) return route.continue()
      await route.abort()
    })
    await page.getByTestId('buy').click()
    await expect(page.getByRole('dialog')).toBeVisible()
  })
  await shoot('cashier', `/cashier/${orders.waiting.id}`)
  await shoot('order-waiting', `/orders/${orders.waiting.id}`)
  await shoot('order-cancel', `/orders/${orders.waiting.id}`, async (page) => {
    await page.locator('.actions button').last().click()
    await expect(page.getByRole('dialog')).toBeVisible()
  })
  await shoot('cashier-paid', `/cashier/${orders.paid.id}`)
  await shoot('cashier-cancelled', `/cashier/${orders.cancelled.id}`)
  await shoot('cashier-refunded', `/cashier/${orders.refunded.id}`)
  await shoot('order-paid', `/orders/${orders.paid.id}`)
  await shoot('order-refunded', `/orders/${orders.refunded.id}`)
  await shoot('order-partly', `/orders/${orders.partly.id}`)
  await shoot('orders', '/orders')
  await shoot('my-courses', '/my-courses')
  await shoot('my-courses-learn', '/my-courses', async (page) => {
    await page.getByTestId('my-course').first().getByRole('button').click()
  })
}

async function whenThingsGoWrong(shoot: Shots, orders: Orders): Promise<void> {
  await shoot('result-unsigned', `/pay/success?out_trade_no=${orders.waiting.outTradeNo ?? ''}&sign=A`)
  await shoot('result-nothing', '/pay/success')
  await shoot('order-missing', '/orders/999999')
  await shoot('result-paid', '/orders', async (page) => {
    await page.locator('[data-testid=order-card] .el-button--primary').first().click()
    await page.locator('form[action="/cashier/scan"] button').click()
    await page.locator('button[name=outcome][value=return]').click()
    await expect(page.getByTestId('outcome')).toHaveAttribute('data-state', 'paid')
  })
  await shoot('server-down', '/orders', async (page) => {
    await page.route('**/graphql', (route) => route.abort())
    await page.reload()
    await expect(page.getByTestId('problem-SERVER_DOWN')).toBeVisible()
  })
}
