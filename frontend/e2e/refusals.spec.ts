import { expect, test } from './test'
import { buyNow, expectCashier, payAtCashier, expectState } from './steps'

test('a token that has ended: sign in, and go on where one was', async ({ shopPage: page, api, buyer }) => {
  const course = await api.course('Linux 运维·进阶')
  await page.goto(`/courses/${course.id}`)
  await page.getByRole('button', { name: '加入购物车', exact: true }).click()
  await api.graphql('mutation { logout }', {}, buyer.token)
  await page.getByRole('link', { name: '我的订单' }).click()
  await expect(page).toHaveURL(/\/sign-in\?next=\/orders/)
  await expect(page.getByTestId('reason')).toContainText('登录已过期')
  await expect(page.getByTestId('cart-count')).toHaveText('1')
  await page.getByLabel('用户名').fill(buyer.username)
  await page.getByLabel('密码').fill(buyer.password)
  await page.getByRole('button', { name: '登录' }).click()
  await expect(page).toHaveURL(/\/orders$/)
  await expect(page.getByTestId('who')).toHaveText(buyer.username)
})

test('a price that has changed is asked about first', async ({ shopPage: page, shop, api, buyer }) => {
  const course = await api.course('Linux 运维·大师班')
  await page.goto(`/courses/${course.id}`)
  await expect(page.getByTestId('buy')).toBeVisible()
  shop.manage(
    `from backend.courses.models import Course; Course.objects.filter(pk=${course.id}).update(price_fen=12345)`,
  )
  await buyNow(page)
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText(course.price)
  await expect(dialog).toContainText('123.45')
  expect(await api.orders(buyer)).toEqual([])
  await dialog.getByRole('button', { name: '123.45' }).click()
  await payAtCashier(page)
  await expectState(page, 'paid')
  expect((await api.orders(buyer)).map((order) => order.totalAmount)).toEqual(['123.45'])
})

test('a course that is owned already is not sold again', async ({ shopPage: page, api, buyer }) => {
  const course = await api.course('算法与数据结构·进阶')
  await page.goto(`/courses/${course.id}`)
  await expect(page.getByTestId('buy')).toBeVisible()
  await api.paidOrder(buyer, course) // on another device
  await buyNow(page)
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText(course.name)
  expect(await api.orders(buyer)).toHaveLength(1)
  await dialog.getByRole('button', { name: '学习' }).click()
  await expect(page.getByTestId('my-course')).toContainText(course.name)
  await page.goto(`/courses/${course.id}`)
  await expect(page.getByRole('button', { name: '学习' })).toBeVisible()
  await expect(page.getByTestId('buy')).toHaveCount(0)
})

test('of a cart with an owned course the others are bought', async ({ shopPage: page, api, buyer }) => {
  const names = ['Docker 与 Kubernetes·进阶', 'Docker 与 Kubernetes·实战'] as const
  const [owned, wanted] = [await api.course(names[0]), await api.course(names[1])]
  await page.goto('/?search=Docker')
  for (const { name } of [owned, wanted])
    await page.getByRole('button', { name: `加入购物车: ${name}` }).click()
  await page.getByRole('link', { name: /购物车 \(2\)/ }).click()
  await expect(page.getByTestId('cart-line')).toHaveCount(2)
  await api.paidOrder(buyer, owned)
  await page.getByTestId('checkout').click()
  await page.getByRole('dialog').getByRole('button', { name: '其余' }).click()
  await expectCashier(page)
  expect((await api.orders(buyer)).map((order) => order.totalAmount)).toEqual([wanted.price, owned.price])
  await page.goto('/cart')
  await expect(page.getByText('购物车还是空的')).toBeVisible() // of what is owned, too
})

test('a wrong password, until it was too often', async ({ page, buyer }) => {
  await page.goto('/sign-in')
  const mistake = page.getByRole('alert')
  await page.getByLabel('用户名').fill(buyer.username)
  for (const wrong of ['one', 'two', 'three', 'four', 'five']) {
    await page.getByLabel('密码').fill(wrong)
    await page.getByRole('button', { name: '登录' }).click()
    await expect(mistake).toHaveText('用户名或密码不正确。')
  }
  await page.getByLabel('密码').fill(buyer.password)
  await page.getByRole('button', { name: '登录' }).click()
  await expect(mistake).toContainText(/\d+ 秒/)
  await expect(page).toHaveURL(/\/sign-in/)
  await expect(page.getByTestId('who')).toHaveCount(0)
})

test('an address that leads nowhere', async ({ page, expectedInConsole }) => {
  expectedInConsole.push(/status of 404 \(Not Found\).*\/nowhere/)
  const response = await page.goto('/nowhere')
  expect(response?.status()).toBe(404)
  await expect(page.getByTestId('missing')).toContainText('页面不存在')
  await page.getByTestId('missing').getByRole('button').click()
  await expect(page.getByTestId('course-card').first()).toBeVisible()
})

test("another buyer's order is not there", async ({ shopPage: page, api, shop }) => {
  const stranger = await api.signIn('buyer2', 'buyer2')
  const order = await api.order(stranger, await api.course('支付系统设计·进阶'))
  await page.goto(`${shop.url}/orders/${order.id}`)
  await expect(page.getByTestId('order-missing')).toBeVisible()
})

test('a return that Alipay has not signed proves nothing', async ({ shopPage: page, api, buyer }) => {
  const order = await api.order(buyer, await api.course('支付系统设计·实战'))
  await page.goto(`/pay/success?out_trade_no=${order.outTradeNo}&total_amount=${order.totalAmount}&sign=AAAA`)
  await expect(page.getByTestId('return')).toHaveAttribute('data-kind', 'unsigned')
  expect((await api.orders(buyer)).map((each) => each.status)).toEqual(['UNPAID'])
})
