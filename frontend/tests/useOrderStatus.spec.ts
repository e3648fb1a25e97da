import { Observable, type FetchResult } from '@apollo/client/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { nextTick, ref } from 'vue'
import type { OrderFieldsFragment } from '@/gql/graphql'
import { orderOf, paid } from './orders'
import { FakeServer, refused, settled, withSetup } from './support'

/** The module remembers that a server has no stream: each test has a new one. */
async function composable() {
  vi.resetModules()
  return (await import('@/composables/useOrderStatus')).useOrderStatus
}

let hidden = false
let order: OrderFieldsFragment | null
let push: (result: FetchResult) => void
let streams: number
let unmount: () => void = () => undefined

const noStream = Object.assign(new Error('404'), { statusCode: 404 })

/** Answers with the order as it stands; the stream is the test's to speak for. */
function shop() {
  return new FakeServer()
    .on('Order', () => ({ data: { order } }))
    .on('OrderProgress', () => ({ data: { order } }))
    .on(
      'OrderUpdated',
      () =>
        new Observable((sink) => {
          streams++
          push = (result) => sink.next(result)
          return () => void streams--
        }),
    )
}
const polled = () => shop().on('OrderUpdated', () => noStream)

async function watchOrder(server: FakeServer, id: Parameters<Awaited<ReturnType<typeof composable>>>[0]) {
  const useOrderStatus = await composable()
  const mounted = withSetup(server.client, () => useOrderStatus(id))
  unmount = mounted.unmount
  await pass(0)
  return mounted.result
}

async function pass(ms: number) {
  await vi.advanceTimersByTimeAsync(ms)
  await settled()
}

beforeEach(() => {
  vi.useFakeTimers()
  hidden = false
  streams = 0
  order = orderOf()
  vi.spyOn(document, 'hidden', 'get').mockImplementation(() => hidden)
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(true)
})
afterEach(async () => {
  unmount()
  await pass(1) // Apollo closes a stream in a task of its own
  expect(streams).toBe(0)
  vi.useRealTimers()
})

test('the stream carries the payment, with no poll at all', async () => {
  const server = shop()
  const status = await watchOrder(server, orderOf().id)
  expect(status.order.value?.status).toBe('UNPAID')
  push({ data: { orderUpdated: orderOf() } })
  await pass(30_000)
  expect(status.connection.value).toBe('live')
  push({ data: { orderUpdated: paid() } })
  await pass(0)
  expect(status.order.value).toMatchObject({ status: 'PAID', tradeNo: '2026112222001' })
  expect(status.connection.value).toBe('ended')
  expect(server.count('OrderProgress')).toBe(0)
  expect(streams).toBe(0)
})

test('without a stream it is polled, and the change brings the whole order', async () => {
  const server = polled()
  const status = await watchOrder(server, orderOf().id)
  expect(server.count('OrderProgress')).toBe(1)
  await pass(2000)
  expect(server.count('OrderProgress')).toBe(2)
  expect(server.count('Order')).toBe(1)
  order = paid()
  await pass(2000)
  expect(status.order.value).toMatchObject({ status: 'PAID', tradeNo: '2026112222001' })
  await pass(60_000)
  expect(server.count('OrderProgress')).toBe(3)
  expect(server.count('Order')).toBe(2)
})

test('a server found to have no stream is not asked for one by the next order', async () => {
  const server = polled()
  const useOrderStatus = await composable()
  const id = ref(orderOf().id)
  unmount = withSetup(server.client, () => useOrderStatus(id)).unmount
  await pass(0)
  order = orderOf({ id: '2' })
  id.value = '2'
  await nextTick()
  await pass(5000)
  expect(server.count('OrderUpdated')).toBe(1)
  expect(server.count('OrderProgress')).toBeGreaterThan(2)
})

test('an order that has ended is not followed', async () => {
  order = paid()
  const server = shop()
  const status = await watchOrder(server, paid().id)
  await pass(60_000)
  expect(status.order.value?.status).toBe('PAID')
  expect(server.asked.map((operation) => operation.operationName)).toEqual(['Order'])
})

test('a hidden tab lets go; shown again it asks anew', async () => {
  const server = polled()
  const status = await watchOrder(server, orderOf().id)
  hidden = true
  document.dispatchEvent(new Event('visibilitychange'))
  const before = server.asked.length
  await pass(3_600_000)
  expect(server.asked).toHaveLength(before)
  expect(status.connection.value).toBe('paused')
  order = paid()
  hidden = false
  document.dispatchEvent(new Event('visibilitychange'))
  await pass(0)
  expect(status.order.value?.status).toBe('PAID')
})

test('offline it rests, online it goes on', async () => {
  const server = shop()
  const status = await watchOrder(server, orderOf().id)
  expect(streams).toBe(1)
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
  window.dispatchEvent(new Event('offline'))
  await pass(1)
  expect(streams).toBe(0)
  expect(status.connection.value).toBe('paused')
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(true)
  window.dispatchEvent(new Event('online'))
  expect(streams).toBe(1)
})

test('back from a sleep the old stream is left for a new one', async () => {
  await watchOrder(shop(), orderOf().id)
  const old = push
  window.dispatchEvent(new Event('pageshow'))
  await pass(1)
  expect(streams).toBe(1)
  expect(push).not.toBe(old)
})

test('a change made elsewhere on the page is seen, and ends the following', async () => {
  const server = shop()
  const status = await watchOrder(server, orderOf().id)
  const cache = server.client.cache
  cache.modify({
    id: cache.identify({ __typename: 'Order', id: orderOf().id }),
    fields: { status: () => 'CANCELLED', isTerminal: () => true },
  })
  await pass(1)
  expect(status.order.value?.status).toBe('CANCELLED')
  await pass(1)
  expect(streams).toBe(0)
})

test('a server that is down in mid-wait is found again', async () => {
  const server = polled()
  const status = await watchOrder(server, orderOf().id)
  server.on('OrderProgress', () => new TypeError('fetch failed'))
  await pass(2000)
  expect(status.connection.value).toBe('unreachable')
  expect(status.order.value?.status).toBe('UNPAID') // what is known stays on the page
  expect(status.problem.value).toBeNull()
  order = paid()
  server.on('OrderProgress', () => ({ data: { order } }))
  await pass(4000)
  expect(status.order.value?.status).toBe('PAID')
})

test('nothing to follow yet: nothing is asked', async () => {
  const id = ref<string | null>(null)
  const server = shop()
  const status = await watchOrder(server, id)
  expect(server.asked).toHaveLength(0)
  id.value = orderOf().id
  await pass(0)
  expect(status.order.value?.id).toBe(orderOf().id)
})

test('no such order is no order and no problem; a server that is down is one', async () => {
  order = null
  const missing = await watchOrder(shop(), 'nobody')
  expect([missing.order.value, missing.problem.value, missing.loading.value]).toEqual([null, null, false])
  unmount()
  const down = await watchOrder(
    shop().on('Order', () => new TypeError('fetch failed')),
    'any',
  )
  expect(down.problem.value).toBe('SERVER_DOWN')
})

test('a sign-in that ends in mid-wait ends the asking', async () => {
  const server = polled()
  await watchOrder(server, orderOf().id)
  server.on('OrderProgress', () => refused('UNAUTHENTICATED'))
  await pass(2000)
  const asked = server.asked.length
  await pass(60_000)
  expect(server.asked).toHaveLength(asked)
})
