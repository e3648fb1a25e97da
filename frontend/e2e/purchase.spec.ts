import { expect, test } from './test'
import { buyNow, expectCashier, expectNoSideways, expectState, payAtCashier } from './steps'

test.describe('in Chinese', () => {
  test('one course, from the catalogue to the classroom', async ({ page, buyer, api }) => {
    const course = await api.course('Python 编程·入门')
    await page.goto('/')
    await page.getByRole('searchbox').fill('Python 编程')
    await page.getByRole('button', { name: '搜索', exact: true }).click()
    await page.getByRole('link', { name: course.name }).click()
    await page.getByRole('button', { name: '立即购买' }).click()
    await page.getByLabel('用户名').fill(buyer.username)
    await page.getByLabel('密码').fill(buyer.password)
    await page.getByRole('button', { name: '登录' }).click()
    await payAtCashier(page)
    await expectState(page, 'paid')
    const [order] = await api.orders(buyer)
    await expect(page.getByText(order?.number ?? '?')).toBeVisible()
    await expect(page.getByTestId('bought')).toContainText('1')
    await page.getByRole('button', { name: '立即学习' }).click()
    await expect(page.getByTestId('my-course')).toHaveText(new RegExp(course.name))
    expect((await api.orders(buyer)).map((each) => each.status)).toEqual(['PAID'])
  })
})

test.describe('in English', () => {
  test.use({ locale: 'en-GB' })

  test('one course, from the course page to the classroom', async ({ shopPage: page, api }) => {
    const course = await api.course('GraphQL 接口设计·入门')
    await page.goto(`/courses/${course.id}`)
    await expect(page.locator('html')).toHaveAttribute('lang', 'en')
    await page.getByRole('button', { name: 'Buy now' }).click()
    await payAtCashier(page)
    await expect(page.getByRole('heading', { name: 'Payment received' })).toBeVisible()
    await page.getByRole('button', { name: 'Start learning' }).click()
    await expect(page.getByTestId('my-course')).toHaveText(new RegExp(course.name))
  })
})

test('the language that was chosen is kept', async ({ page }) => {
  await page.goto('/')
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN')
  await page.getByTestId('language').click()
  await expect(page.getByRole('heading', { name: 'Learn a craft for real' })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Learn a craft for real' })).toBeVisible()
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
})

test('a cart of three is one order', async ({ shopPage: page, api, buyer }) => {
  await page.goto('/')
  for (const name of ['Python 编程·入门', 'Python 编程·进阶', 'Django 网站开发·入门']) {
    await page.getByRole('button', { name: `加入购物车: ${name}` }).click()
  }
  await expect(page.getByTestId('cart-count')).toHaveText('3')
  await page.getByRole('link', { name: /购物车 \(3\)/ }).click()
  await expect(page.getByTestId('cart-line')).toHaveCount(3)
  const shown = await page.getByTestId('cart-total').innerText()
  await page.getByTestId('checkout').click()
  await payAtCashier(page)
  await expectState(page, 'paid')
  await expect(page.getByTestId('bought')).toContainText('3')
  const orders = await api.orders(buyer)
  expect(orders).toHaveLength(1)
  expect(shown.replace(/\s/g, '')).toContain(orders[0]?.totalAmount)
  await expect(page.getByTestId('cart-count')).toHaveCount(0)
})

test('a double click is one order', async ({ shopPage: page, api, buyer }) => {
  const sent: string[] = []
  page.on('request', (request) => {
    if (request.postData()?.includes('CreateOrder')) sent.push(request.url())
  })
  const course = await api.course('Vue 3 前端·入门')
  await page.goto(`/courses/${course.id}`)
  await page.getByTestId('buy').dblclick()
  await expectCashier(page)
  expect(sent).toHaveLength(1)
  expect(await api.orders(buyer)).toHaveLength(1)
})

test('a reload in mid-purchase, and another click, is the same order', async ({
  shopPage: page,
  api,
  buyer,
}) => {
  const course = await api.course('Redis 实战·入门')
  let answered: () => void = () => undefined
  const placed = new Promise<void>((resolve) => (answered = resolve))
  await page.route('**/graphql', async (route) => {
    if (!route.request().postData()?.includes('CreateOrder')) return route.continue()
    await route.fetch() // the server places the order, and the browser never hears of it
    answered()
  })
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await placed
  const [first] = await api.orders(buyer)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await page.reload()
  await buyNow(page)
  await payAtCashier(page)
  await expectState(page, 'paid')
  const orders = await api.orders(buyer)
  expect(orders.map((order) => [order.id, order.status])).toEqual([[first?.id, 'PAID']])
})

test('the back button at the cashier leads to the order that waits', async ({
  shopPage: page,
  api,
  buyer,
}) => {
  const course = await api.course('Linux 运维·入门')
  await page.goto(`/courses/${course.id}`)
  await buyNow(page)
  await expectCashier(page)
  await page.goBack()
  await expect(page).toHaveURL(/\/cashier\/\d+$/)
  await expectState(page, 'waiting')
  await expect(page.getByTestId('count-down')).toBeVisible()
  await page.getByRole('button', { name: '支付宝' }).click()
  await payAtCashier(page)
  await expectState(page, 'paid')
  expect(await api.orders(buyer)).toHaveLength(1)
})

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })

  test('the whole purchase by touch, and nothing hangs out at the side', async ({ shopPage: page, api }) => {
    const course = await api.course('算法与数据结构·入门')
    await page.goto('/')
    await expect(page.getByTestId('course-card').first()).toBeVisible()
    await expectNoSideways(page)
    await page.goto(`/courses/${course.id}`)
    await expect(page.getByTestId('buy')).toBeVisible()
    await expectNoSideways(page)
    await page.getByTestId('buy').tap()
    await expectCashier(page)
    await page.goBack()
    await expectState(page, 'waiting')
    await expectNoSideways(page)
    await page.goForward()
    await payAtCashier(page)
    await expectState(page, 'paid')
    await expectNoSideways(page)
    for (const address of ['/orders', '/my-courses', '/cart']) {
      await page.goto(address)
      await expect(page.locator('main h1, main h2').first()).toBeVisible()
      await expectNoSideways(page)
    }
  })
})
