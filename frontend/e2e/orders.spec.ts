import { expect, test } from './test'
import { buyNow, expectCashier, expectState } from './steps'

test('an order is cancelled, and its course can be ordered again', async ({ shopPage: page, api, buyer }) => {
  const course = await api.course('Vue 3 前端·进阶')
  const order = await api.order(buyer, course)
  await page.goto(`/cashier/${order.id}`)
  await page.getByRole('button', { name: '取消订单' }).click()
  await page.getByRole('dialog').getByRole('button', { name: '取消订单' }).click()
  await expectState(page, 'cancelled')
  await page.goto('/orders?status=CANCELLED')
  await expect(page.getByTestId('order-card')).toHaveAttribute('data-order', order.number)
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await expectCashier(page)
  expect((await api.orders(buyer)).map((each) => each.status)).toEqual(['UNPAID', 'CANCELLED'])
})

test('another order that waits holds the course: it is cancelled, and this one is placed', async ({
  shopPage: page,
  api,
  buyer,
}) => {
  const course = await api.course('Vue 3 前端·实战')
  const first = await api.order(buyer, course, await api.course('Vue 3 前端·大师班'))
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText(first.number)
  await dialog.getByRole('button', { name: '取消它，重新下单' }).click()
  await expectCashier(page)
  const [second, ...older] = await api.orders(buyer)
  expect(older.map((each) => [each.id, each.status])).toEqual([[first.id, 'CANCELLED']])
  expect(second?.status).toBe('UNPAID')
})

test('a refund is shown: on the order, in the list, and the course is closed', async ({
  shopPage: page,
  api,
  buyer,
}) => {
  const order = await api.paidOrder(buyer, await api.course('PostgreSQL 数据库·入门'))
  await page.goto('/my-courses')
  await expect(page.getByTestId('my-course')).toHaveCount(1)
  const staff = await api.signIn('staff', 'staff')
  const query = `mutation ($input: RefundOrderInput!) { refundOrder(input: $input) {
    ... on RefundOrderSuccess { refund { id } } ... on UserError { code } } }`
  const input = { orderId: order.id, reason: '课程不合适', idempotencyKey: 'e2e-refund' }
  const { refundOrder } = await api.graphql<{ refundOrder: { refund?: { id: string } } }>(
    query,
    { input },
    staff.token,
  )
  expect(refundOrder.refund).toBeDefined()

  await expect(async () => {
    await page.goto(`/orders/${order.id}`)
    await expect(page.getByTestId('refund')).toContainText('退款成功', { timeout: 1_000 })
  }).toPass()
  await expect(page.getByTestId('refund')).toContainText(`¥${order.totalAmount}`)
  await expect(page.getByTestId('refund')).toContainText('课程不合适')
  await expect(page.getByTestId('refund-state')).toHaveText('已退款')
  await page.goto('/orders')
  await expect(page.getByTestId('order-card').getByTestId('refund-state')).toHaveText('已退款')
  await page.goto('/my-courses')
  await expect(page.getByText('还没有课程')).toBeVisible()
})
