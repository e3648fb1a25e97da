import type { OrderFieldsFragment } from '@/gql/graphql'

/** An order that waits for its money. */
export function orderOf(changes: Partial<OrderFieldsFragment> = {}): OrderFieldsFragment {
  return {
    __typename: 'Order',
    id: '20261122000001',
    number: '20261122000001',
    outTradeNo: 'aa11',
    totalAmount: '19.90',
    status: 'UNPAID',
    lines: [
      {
        __typename: 'OrderLine',
        id: 'l1',
        name: 'Python',
        realPrice: '19.90',
        course: { __typename: 'Course', id: '1' },
      },
    ],
    createdAt: '2026-11-22T10:00:00+08:00',
    expiresAt: '2026-11-22T10:30:00+08:00',
    paidAt: null,
    tradeNo: null,
    payUrl: 'http://127.0.0.1:8301/gateway.do?sign=1',
    refundState: 'NONE',
    refundedAmount: '0.00',
    refunds: [],
    timeline: [],
    isTerminal: false,
    nextPollAfterMs: 2000,
    serverTime: '2026-11-22T10:00:01+08:00',
    ...changes,
  }
}

/** The same, paid. */
export const paid = (changes: Partial<OrderFieldsFragment> = {}) =>
  orderOf({
    status: 'PAID',
    isTerminal: true,
    nextPollAfterMs: null,
    payUrl: null,
    paidAt: '2026-11-22T10:01:00+08:00',
    tradeNo: '2026112222001',
    ...changes,
  })
