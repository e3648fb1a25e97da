import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { useReturn } from '@/composables/useReturn'
import { endSession, startSession } from '@/session'
import { orderOf } from './orders'
import { FakeServer, settled, withSetup } from './support'

const SIGNED = '?charset=utf-8&out_trade_no=aa11&sign=a%2Bb%3D'
const confirmed = (result: object) => () => ({ data: { confirmReturn: result } })

async function returned(server: FakeServer, search = SIGNED) {
  const { result } = withSetup(server.client, () => useReturn(search))
  await result.look()
  return result.outcome
}

/** The REST return, which a visitor is told by. */
function rest(...answers: (object | number)[]) {
  const fetch = vi.fn(() => {
    const answer = answers.shift() ?? 500
    return Promise.resolve(
      typeof answer === 'number'
        ? new Response('', { status: answer })
        : new Response(JSON.stringify(answer)),
    )
  })
  vi.stubGlobal('fetch', fetch)
  return fetch
}

beforeEach(() => startSession({ token: 'token', username: 'buyer' }))
afterEach(() => vi.useRealTimers())

test('the query is forwarded as it stands, and names the order', async () => {
  const success = { __typename: 'ConfirmReturnSuccess', verified: true, order: orderOf() }
  const server = new FakeServer().on('ConfirmReturn', confirmed(success))
  const outcome = await returned(server)
  expect(server.asked[0]?.variables).toEqual({ input: { query: SIGNED } })
  expect(outcome.value).toEqual({ kind: 'order', orderId: orderOf().id })
})

test.each([
  [{ __typename: 'InvalidInput', code: 'INVALID_INPUT', message: '' }, { kind: 'unsigned' }],
  [{ __typename: 'OrderNotFound', code: 'ORDER_NOT_FOUND', message: '' }, { kind: 'notYours' }],
  [
    { __typename: 'RateLimited', code: 'RATE_LIMITED', message: '', retryAfterMs: 1 },
    { kind: 'problem', problem: 'RATE_LIMITED' },
  ],
])('a refusal: %#', async (result, expected) => {
  expect((await returned(new FakeServer().on('ConfirmReturn', confirmed(result)))).value).toEqual(expected)
})

test('a server that is down is a problem to try again', async () => {
  const server = new FakeServer().on('ConfirmReturn', () => new TypeError('fetch failed'))
  expect((await returned(server)).value).toEqual({ kind: 'problem', problem: 'SERVER_DOWN' })
})

test('an address without an order asks nothing', async () => {
  const server = new FakeServer()
  expect((await returned(server, '')).value).toEqual({ kind: 'nothing' })
  expect(server.asked).toEqual([])
})

test('a visitor is told by REST whether it is paid, and asked again while it is not', async () => {
  vi.useFakeTimers()
  endSession({ expired: false })
  const fetch = rest(
    { verified: true, paid: false, status: 'UNPAID' },
    { verified: true, paid: true, status: 'PAID' },
  )
  const outcome = await returned(new FakeServer())
  expect(fetch).toHaveBeenCalledWith(`/payments/alipay/return/${SIGNED}`, expect.anything())
  expect(outcome.value).toEqual({ kind: 'visitor', paid: false })
  await vi.advanceTimersByTimeAsync(3000)
  await settled()
  expect(outcome.value).toEqual({ kind: 'visitor', paid: true })
  await vi.advanceTimersByTimeAsync(600_000)
  expect(fetch).toHaveBeenCalledTimes(2)
})

test.each([
  [{ verified: false, paid: false, status: null }, { kind: 'unsigned' }],
  [503, { kind: 'problem', problem: 'SERVER_DOWN' }],
])('a visitor with a bad address, or a server that is down: %#', async (answer, expected) => {
  endSession({ expired: false })
  rest(answer)
  expect((await returned(new FakeServer())).value).toEqual(expected)
})

test('a visitor whose payment never comes is not asked about for ever', async () => {
  vi.useFakeTimers()
  endSession({ expired: false })
  const fetch = rest(...Array.from({ length: 50 }, () => ({ verified: true, paid: false, status: 'UNPAID' })))
  await returned(new FakeServer())
  await vi.advanceTimersByTimeAsync(100 * 3_600_000)
  expect(fetch).toHaveBeenCalledTimes(13)
})
