import type { OrderFieldsFragment } from '@/gql/graphql'
import { serverNow } from '@/server-time'

/** How an order stands, as a shopper understands it. Each has its words under `result` in the messages. */
export type OrderState =
  | 'waiting'
  | 'attemptOver'
  | 'timeOver'
  | 'paid'
  | 'refunded'
  | 'cancelled'
  | 'cancelledPaid'
  | 'timedOut'
  | 'timedOutPaid'

export function stateOf(order: OrderFieldsFragment): OrderState {
  if (order.refundState === 'FULL') return 'refunded'
  switch (order.status) {
    case 'PAID':
      return 'paid'
    case 'CANCELLED':
      return order.paidAt ? 'cancelledPaid' : 'cancelled'
    case 'TIMED_OUT':
      return order.paidAt ? 'timedOutPaid' : 'timedOut'
    case 'UNPAID':
      return waitingState(order)
  }
}

/** Without an address to pay at, either the order's time is over, or only this attempt has ended. */
function waitingState(order: OrderFieldsFragment): OrderState {
  if (serverNow() >= Date.parse(order.expiresAt)) return 'timeOver'
  return order.payUrl ? 'waiting' : 'attemptOver'
}
