import { beforeEach, expect, test, vi } from 'vitest'
import { stateOf } from '@/order-state'
import { orderOf, paid } from './orders'

const at = (iso: string) => vi.useFakeTimers({ now: Date.parse(iso) })
beforeEach(() => void at('2026-11-22T10:10:00+08:00'))

test.each([
  ['waiting', orderOf()],
  ['attemptOver', orderOf({ payUrl: null })],
  ['paid', paid()],
  ['paid', paid({ refundState: 'PARTIAL' })],
  ['refunded', paid({ refundState: 'FULL' })],
  ['refunded', paid({ status: 'CANCELLED', refundState: 'FULL' })],
  ['cancelled', orderOf({ status: 'CANCELLED' })],
  ['cancelledPaid', paid({ status: 'CANCELLED' })],
  ['timedOut', orderOf({ status: 'TIMED_OUT' })],
  ['timedOutPaid', paid({ status: 'TIMED_OUT' })],
])('%s', (state, order) => expect(stateOf(order)).toBe(state))

test('after its time an order cannot be paid, whatever address is still in the cache', () => {
  at('2026-11-22T10:30:00+08:00')
  expect(stateOf(orderOf())).toBe('timeOver')
})
