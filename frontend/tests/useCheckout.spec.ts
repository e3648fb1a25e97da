import type { FetchResult } from '@apollo/client/core'
import { beforeEach, expect, test, vi } from 'vitest'
import { useCheckout } from '@/composables/useCheckout'
import { endSession, session, startSession } from '@/session'
import { orderOf, paid } from './orders'
import { FakeServer, refused, withSetup } from './support'

const basket = { courseIds: ['2', '1'], totalAmount: '118.90' }
const order = orderOf()

const created = (changes: object = {}): FetchResult => ({
  data: {
    createOrder: {
      __typename: 'CreateOrderSuccess',
      payUrl: order.payUrl,
      replayed: false,
      order,
      ...changes,
    },
  },
})
const refusal = (__typename: string, more: object = {}): FetchResult => ({
  data: { createOrder: { __typename, code: 'CODE', message: 'A sentence.', ...more } },
})

const keyOf = (operation: { variables: Record<string, unknown> } | undefined) =>
  (operation?.variables.input as { idempotencyKey: string }).idempotencyKey

function checkout(server: FakeServer) {
  return withSetup(server.client, useCheckout).result
}

beforeEach(() => {
  sessionStorage.clear()
  startSession({ token: 'token', username: 'buyer' })
})

test('an order that can be paid leads to the cashier', async () => {
  const server = new FakeServer().on('CreateOrder', () => created())
  const { buy, outcome } = checkout(server)
  expect(await buy(basket)).toMatchObject({ kind: 'payable', payUrl: order.payUrl, order: { id: order.id } })
  expect(outcome.value?.kind).toBe('payable')
  expect(server.asked[0]?.variables.input).toEqual({
    courseIds: ['1', '2'],
    totalAmount: '118.90',
    idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
  })
})

test('the key is kept before the first request', async () => {
  let kept: string | null = null
  const server = new FakeServer().on('CreateOrder', (operation) => {
    kept = sessionStorage.getItem('coursepay.attempt')
    expect(kept).toContain(keyOf(operation))
    return created()
  })
  await checkout(server).buy(basket)
  expect(kept).not.toBeNull()
})

test('a double click is one request with one answer', async () => {
  const server = new FakeServer().on('CreateOrder', () => created())
  const { buy, busy } = checkout(server)
  const clicks = [buy(basket), buy(basket)]
  expect(busy.value).toBe(true)
  const [first, second] = await Promise.all(clicks)
  expect(second).toBe(first)
  expect(server.count('CreateOrder')).toBe(1)
  expect(busy.value).toBe(false)
})

test('a click after a lost answer repeats the key; a click after an answer has a new one', async () => {
  let lost = true
  const server = new FakeServer().on('CreateOrder', () => (lost ? new TypeError('fetch failed') : created()))
  const { buy } = checkout(server)
  expect(await buy(basket)).toEqual({ kind: 'unanswered', problem: 'SERVER_DOWN' })
  lost = false
  await buy(basket)
  await buy(basket)
  const [first, second, third] = server.asked.map(keyOf)
  expect(second).toBe(first)
  expect(third).not.toBe(first)
})

test('a reload in mid-purchase repeats the key: it lives in the tab, not in the page', async () => {
  const never = new FakeServer().on('CreateOrder', () => new Promise(() => undefined))
  void checkout(never).buy(basket)
  await vi.waitFor(() => expect(never.asked).toHaveLength(1))
  const server = new FakeServer().on('CreateOrder', () => created({ replayed: true }))
  await checkout(server).buy({ ...basket, courseIds: ['1', '2'] })
  expect(keyOf(server.asked[0])).toBe(keyOf(never.asked[0]))
})

test.each([
  { courseIds: ['1'], totalAmount: '118.90' },
  { courseIds: ['1', '2'], totalAmount: '120.00' },
])('another basket after a lost answer has a key of its own: %j', async (other) => {
  const server = new FakeServer().on('CreateOrder', () => new TypeError('fetch failed'))
  const { buy } = checkout(server)
  await buy(basket)
  await buy(other)
  expect(keyOf(server.asked[1])).not.toBe(keyOf(server.asked[0]))
})

test.each([
  ['IdempotencyKeyReused', refusal('IdempotencyKeyReused')],
  [
    'an order cancelled since',
    created({ replayed: true, payUrl: null, order: orderOf({ status: 'CANCELLED' }) }),
  ],
  [
    'an order timed out since',
    created({ replayed: true, payUrl: null, order: orderOf({ status: 'TIMED_OUT' }) }),
  ],
])('a spent key is replaced, once: %s', async (_name, spent) => {
  const answers = [spent, created()]
  const server = new FakeServer().on('CreateOrder', () => answers.shift() ?? new Error('asked too often'))
  expect((await checkout(server).buy(basket)).kind).toBe('payable')
  expect(keyOf(server.asked[1])).not.toBe(keyOf(server.asked[0]))
})

test('a key that is refused twice is not tried for ever', async () => {
  const server = new FakeServer().on('CreateOrder', () => refusal('IdempotencyKeyReused'))
  expect(await checkout(server).buy(basket)).toEqual({ kind: 'refused', message: 'A sentence.' })
  expect(server.count('CreateOrder')).toBe(2)
})

test('a repeat that was paid in the meantime is shown as it stands', async () => {
  const server = new FakeServer().on('CreateOrder', () =>
    created({ replayed: true, payUrl: null, order: paid() }),
  )
  expect(await checkout(server).buy(basket)).toMatchObject({ kind: 'placed', order: { status: 'PAID' } })
  expect(server.count('CreateOrder')).toBe(1)
})

test.each([
  [
    'PriceChanged',
    { expectedTotal: '1.00', actualTotal: '2.00' },
    { kind: 'priceChanged', expected: '1.00', actual: '2.00' },
  ],
  ['AlreadyOwned', { courseIds: ['1'] }, { kind: 'alreadyOwned', courseIds: ['1'] }],
  ['CoursesUnavailable', { courseIds: ['2'] }, { kind: 'unavailable', courseIds: ['2'] }],
  ['OpenOrderExists', { payUrl: null, order }, { kind: 'openOrder', payUrl: null, order: { id: order.id } }],
  ['RateLimited', { retryAfterMs: 1200 }, { kind: 'rateLimited', seconds: 2 }],
  ['InvalidInput', {}, { kind: 'refused', message: 'A sentence.' }],
])('%s is what the shopper must know', async (name, fields, outcome) => {
  const server = new FakeServer().on('CreateOrder', () => refusal(name, fields))
  expect(await checkout(server).buy(basket)).toMatchObject(outcome)
  expect(sessionStorage.getItem('coursepay.attempt')).toBeNull()
})

test('a visitor is asked to sign in, and nothing is sent', async () => {
  endSession({ expired: false })
  expect(session.value).toBeNull()
  const server = new FakeServer().on('CreateOrder', () => created())
  expect(await checkout(server).buy(basket)).toEqual({ kind: 'signInNeeded' })
  expect(server.asked).toEqual([])
})

test('a token that has ended asks for the sign-in, and the click keeps its key', async () => {
  const answers = [refused('UNAUTHENTICATED'), created()]
  const server = new FakeServer().on('CreateOrder', () => answers.shift() ?? new Error('asked too often'))
  const { buy } = checkout(server)
  expect(await buy(basket)).toEqual({ kind: 'signInNeeded' })
  await buy(basket)
  expect(keyOf(server.asked[1])).toBe(keyOf(server.asked[0]))
})

test('without storage an order can still be placed', async () => {
  vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
    throw new DOMException('QuotaExceededError')
  })
  const server = new FakeServer().on('CreateOrder', () => created())
  expect((await checkout(server).buy(basket)).kind).toBe('payable')
})
