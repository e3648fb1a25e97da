import type { Problem } from '@/apollo/problems'
import type { CreateOrderMutation, OrderFieldsFragment } from '@/gql/graphql'

/** What became of a click on a buy button. */
export type CheckoutOutcome =
  /** Go to the cashier. */
  | { kind: 'payable'; order: OrderFieldsFragment; payUrl: string }
  /** Nothing to pay: a free basket, or a repeated order that has ended since. `order.status` says which. */
  | { kind: 'placed'; order: OrderFieldsFragment }
  /** `expected`: what the shopper was shown; `actual`: what it costs now. Ask before going on. */
  | { kind: 'priceChanged'; expected: string; actual: string }
  | { kind: 'alreadyOwned'; courseIds: string[] }
  | { kind: 'unavailable'; courseIds: string[] }
  /** An unpaid order holds one of the courses: pay it, or cancel it and order anew. */
  | { kind: 'openOrder'; order: OrderFieldsFragment; payUrl: string | null }
  | { kind: 'rateLimited'; seconds: number }
  /** Nobody is signed in, or no longer. */
  | { kind: 'signInNeeded' }
  /** No answer: whether the order stands is unknown. The same click again settles it, with the same key. */
  | { kind: 'unanswered'; problem: Problem }
  /** The request was not as it must be: a reload of the page should help. */
  | { kind: 'refused'; message: string }

type Result = CreateOrderMutation['createOrder']

/** The server's answer as what the shopper is to do next. */
export function outcomeOf(result: Result): CheckoutOutcome {
  switch (result.__typename) {
    case 'CreateOrderSuccess': {
      const { order, payUrl } = result
      return payUrl ? { kind: 'payable', order, payUrl } : { kind: 'placed', order }
    }
    case 'PriceChanged':
      return { kind: 'priceChanged', expected: result.expectedTotal, actual: result.actualTotal }
    case 'AlreadyOwned':
      return { kind: 'alreadyOwned', courseIds: result.courseIds }
    case 'CoursesUnavailable':
      return { kind: 'unavailable', courseIds: result.courseIds }
    case 'OpenOrderExists':
      return { kind: 'openOrder', order: result.order, payUrl: result.payUrl ?? null }
    case 'RateLimited':
      return { kind: 'rateLimited', seconds: Math.max(1, Math.ceil(result.retryAfterMs / 1000)) }
    default:
      return { kind: 'refused', message: result.message }
  }
}
