import { expect, test } from './test'
import { buyNow, expectCashier, expectLive, expectState, payAtCashier, signInAtCashier } from './steps'

/** What the browser itself writes when a server is not there. */
const NO_CONNECTION =
  /net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|CONNECTION_RESET)/

test('paid in another tab, the first changes by itself, by the stream alone', async ({
  shopPage: page,
  context,
  api,
  buyer,
}) => {
  const course = await api.course('Python 编程·实战')
  const order = await api.order(buyer, course)
  const stream = page.waitForResponse('**/graphql/stream')
  await page.goto(`/cashier/${order.id}`)
  await expectState(page, 'waiting')
  await expectLive(page)
  expect((await stream).status()).toBe(200)
  expect((await stream).headers()['content-type']).toContain('multipart/mixed')

  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  const other = await context.newPage()
  await other.goto('/orders')
  await other.getByRole('button', { name: '支付宝' }).click()
  await payAtCashier(other)
  await expectState(other, 'paid')
  await expectState(page, 'paid')
  expect(asked.filter((url) => url.includes('/graphql'))).toEqual([])
})

test('the cashier is closed: the order waits under my orders, and is paid from there', async ({
  shopPage: page,
  context,
  api,
  buyer,
}) => {
  const course = await api.course('Docker 与 Kubernetes·入门')
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await signInAtCashier(page)
  await page.locator('button[name=outcome][value=leave]').click()

  const next = await context.newPage() // before the other goes: Chromium ends with its last page
  await page.close()
  await next.goto(`/courses/${course.id}`)
  await buyNow(next) // the same wish again is the same order
  await expectCashier(next)
  await next.goto('/orders')
  await expect(next.getByTestId('order-card').getByTestId('count-down')).toBeVisible()
  await next.getByTestId('order-card').getByRole('button', { name: '支付宝' }).click()
  await payAtCashier(next)
  await expectState(next, 'paid')
  expect(await api.orders(buyer)).toHaveLength(1)
})

test('the server restarts in mid-wait, and the page finds it again', async ({
  shopPage: page,
  shop,
  api,
  buyer,
  expectedInConsole,
}) => {
  test.slow() // a whole shop stops and starts
  expectedInConsole.push(NO_CONNECTION)
  const order = await api.order(buyer, await api.course('Django 网站开发·进阶'))
  await page.goto(`/cashier/${order.id}`)
  await expectLive(page)
  await shop.stop()
  await expect(page.getByTestId('live')).toHaveAttribute('data-connection', 'unreachable')
  await expectState(page, 'waiting') // what is known stays on the page
  await shop.start()
  await expectLive(page, 60_000) // the pause between two tries of the page grows
  await api.pay(order)
  await expectState(page, 'paid')
})

test('the server is down: a screen says so, and trying again helps once it is up', async ({
  shopPage: page,
  shop,
  expectedInConsole,
}) => {
  test.slow() // a whole shop stops and starts
  expectedInConsole.push(NO_CONNECTION)
  await page.goto('/orders')
  await expect(page.getByText('还没有订单')).toBeVisible()
  await shop.stop()
  await page.getByRole('link', { name: '待付款' }).click()
  await expect(page.getByTestId('problem-SERVER_DOWN')).toBeVisible()
  await shop.start()
  await page.getByTestId('problem-SERVER_DOWN').getByRole('button').click()
  await expect(page.getByText('没有这种状态的订单')).toBeVisible()
})
