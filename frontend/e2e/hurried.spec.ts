import { expect, test } from './test'
import { buyNow, expectCashier, expectState, outcome, payAtCashier, signInAtCashier } from './steps'

/** A shop in a hurry: short time to pay, and jobs that ask early. */
test.use({
  settings: {
    ORDER_TTL_SECONDS: '12',
    ORDER_GRACE_SECONDS: '1',
    PAYMENT_QUERY_AFTER_SECONDS: '4',
    PROVIDER_RETRY_SECONDS: '2',
  },
})

test('the time to pay runs out while the buyer looks', async ({ shopPage: page, api }) => {
  test.setTimeout(90_000)
  const course = await api.course('Redis 实战·进阶')
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await expectCashier(page)
  await page.goBack()
  await expectState(page, 'waiting')
  await expect(outcome(page)).toHaveAttribute('data-state', /timeOver|timedOut/, { timeout: 30_000 })
  await expect(outcome(page)).toHaveAttribute('data-state', 'timedOut', { timeout: 30_000 })
  await expect(page.getByRole('heading', { name: '订单已超时关闭' })).toBeVisible()
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await expectCashier(page) // nothing stands in the way of a new order
})

test('the time runs out at the cashier: Alipay says so, and so does the shop', async ({
  shopPage: page,
  api,
  buyer,
  expectedInConsole,
}) => {
  test.setTimeout(90_000)
  expectedInConsole.push(/410 \(Gone\)/) // the cashier's page says it with its status
  const order = await api.order(buyer, await api.course('Redis 实战·实战'))
  await page.goto(order.payUrl ?? '')
  await signInAtCashier(page)
  await expect.poll(async () => (await api.orders(buyer))[0]?.status, { timeout: 40_000 }).toBe('TIMED_OUT')
  await expect(page.getByText('ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR')).toBeVisible()
  await page.goto(`/orders/${order.id}`)
  await expect(page.getByTestId('status')).toHaveAttribute('data-status', 'TIMED_OUT')
})

test('paid, but Alipay is slow to say so: the page waits, and the jobs find the money', async ({
  shopPage: page,
  api,
}) => {
  await api.fault('notify', 'drop_all')
  await api.fault('alipay.trade.query', 'http_502', 1000)
  const course = await api.course('支付系统设计·入门')
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await payAtCashier(page)
  await expect(page.getByRole('heading', { name: '支付宝的到账通知还没有到' })).toBeVisible()
  await expectState(page, 'waiting')
  await expect(page.getByRole('button', { name: '支付宝' })).toHaveCount(0) // not led to pay once more
  await api.clearFaults() // Alipay answers again; the lost notify would come in four minutes
  await expect(outcome(page)).toHaveAttribute('data-state', 'paid', { timeout: 40_000 })
})
