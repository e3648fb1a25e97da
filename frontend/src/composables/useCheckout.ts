import { useApolloClient } from '@vue/apollo-composable'
import { readonly, ref, shallowRef, type DeepReadonly, type Ref, type ShallowRef } from 'vue'
import { problemOf } from '@/apollo/problems'
import { attemptFor, forgetAttempt } from '@/checkout/attempt'
import { outcomeOf, type CheckoutOutcome } from '@/checkout/outcome'
import { CreateOrderDocument, type CreateOrderMutation } from '@/gql/graphql'
import { session } from '@/session'

export interface Basket {
  courseIds: readonly string[]
  /** What the shopper was shown that they cost in all, in yuan: "117.00". */
  totalAmount: string
}

export interface Checkout {
  /** Whether an answer is awaited: show it on the button. */
  busy: DeepReadonly<Ref<boolean>>
  /** What the last click came to; null before it, and after `dismiss`. */
  outcome: Readonly<ShallowRef<CheckoutOutcome | null>>
  /** Order these courses at this price. A second click while the first is under way joins it. */
  buy(basket: Basket): Promise<CheckoutOutcome>
  dismiss(): void
}

/**
 * Ordering, so that one wish is one order.
 *
 * One click has one idempotency key, which is in sessionStorage before the first byte is sent. A double click joins the
 * request that is under way. A click after a lost answer, or after a reload in mid-purchase, sends the same key, and
 * the server answers with the same order. Only an answer ends the attempt. Navigation and dialogs are the caller's:
 * `buy` says what happened, and never throws.
 */
export function useCheckout(): Checkout {
  const { client } = useApolloClient()
  const busy = ref(false)
  const outcome = shallowRef<CheckoutOutcome | null>(null)
  let underWay: Promise<CheckoutOutcome> | null = null

  async function order({ courseIds, totalAmount }: Basket, isRepeat = false): Promise<CheckoutOutcome> {
    if (!session.value) return { kind: 'signInNeeded' }
    const attempt = attemptFor(courseIds, totalAmount)
    const input = { courseIds: attempt.courseIds, totalAmount, idempotencyKey: attempt.key }
    const { data } = await client.mutate({ mutation: CreateOrderDocument, variables: { input } })
    if (!data) throw new Error('an answer without data')
    forgetAttempt()
    // The key of a click long ago: this click is a new wish, and gets a key of its own.
    return isSpent(data.createOrder) && !isRepeat
      ? order({ courseIds, totalAmount }, true)
      : outcomeOf(data.createOrder)
  }

  async function settle(basket: Basket): Promise<CheckoutOutcome> {
    busy.value = true
    outcome.value = null
    try {
      return (outcome.value = await order(basket).catch(afterFailure))
    } finally {
      busy.value = false
      underWay = null
    }
  }

  return {
    busy: readonly(busy),
    outcome,
    buy: (basket) => (underWay ??= settle(basket)),
    dismiss: () => (outcome.value = null),
  }
}

/** Whether the key has had its day: its order has ended unpaid since, or it was for another input. */
function isSpent(result: CreateOrderMutation['createOrder']): boolean {
  if (result.__typename === 'IdempotencyKeyReused') return true
  if (result.__typename !== 'CreateOrderSuccess') return false
  return result.replayed && ['CANCELLED', 'TIMED_OUT'].includes(result.order.status)
}

/** The attempt stays: the order may stand or not. */
function afterFailure(error: unknown): CheckoutOutcome {
  const problem = problemOf(error)
  return problem === 'UNAUTHENTICATED' ? { kind: 'signInNeeded' } : { kind: 'unanswered', problem }
}
