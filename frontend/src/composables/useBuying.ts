import { useApolloClient } from '@vue/apollo-composable'
import { onMounted, onUnmounted, shallowRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { removeFromCart, renewCart, type CartItem } from '@/cart'
import type { CheckoutOutcome } from '@/checkout/outcome'
import { useCheckout } from '@/composables/useCheckout'
import { useOrderActions } from '@/composables/useOrderActions'
import { CourseDocument } from '@/gql/graphql'
import { total } from '@/money'

/**
 * What the course page and the cart do with `useCheckout`: where each outcome leads the shopper. The choices that are
 * theirs to make (a new price, an open order …) are put by `CheckoutDialog`.
 */
export function useBuying() {
  const { client } = useApolloClient()
  const router = useRouter()
  const route = useRoute()
  const checkout = useCheckout()
  const actions = useOrderActions()
  /** What the last click was for, at the prices shown. */
  const wanted = shallowRef<readonly CartItem[]>([])

  async function buy(items: readonly CartItem[]): Promise<void> {
    if (items.length === 0) return
    wanted.value = items
    const courseIds = items.map((item) => item.id)
    await lead(await checkout.buy({ courseIds, totalAmount: total(items.map((item) => item.price)) }))
  }

  async function lead(outcome: CheckoutOutcome): Promise<void> {
    switch (outcome.kind) {
      case 'payable':
      case 'placed':
        removeFromCart(wanted.value.map((item) => item.id))
        return toCashier(outcome.order.id, outcome.kind === 'payable' ? outcome.payUrl : null)
      case 'signInNeeded':
        await router.push({ name: 'sign-in', query: { next: route.fullPath, then: 'buy' } })
        return
      case 'alreadyOwned':
      case 'unavailable':
        removeFromCart(outcome.courseIds)
        await lookUpAgain(outcome.courseIds)
    }
  }

  async function toCashier(id: string, payUrl: string | null): Promise<void> {
    checkout.dismiss()
    await router.push({ name: 'cashier', params: { id }, state: payUrl ? { payUrl } : {} })
  }

  /** The courses as they are now: prices, and what is owned. Those that are gone are left out. */
  async function lookUpAgain(ids: readonly string[]): Promise<CartItem[]> {
    const answers = await Promise.all(
      ids.map((id) =>
        client.query({ query: CourseDocument, variables: { id }, fetchPolicy: 'network-only' }),
      ),
    ).catch(() => [])
    return answers.flatMap(({ data }) => (data.course ? [data.course] : []))
  }

  return {
    busy: checkout.busy,
    outcome: checkout.outcome,
    wanted,
    buy,
    /** The same click again: with the same key where no answer came. */
    again: () => buy(wanted.value),
    rest: (without: readonly string[]) => wanted.value.filter((item) => !without.includes(item.id)),
    dismiss: checkout.dismiss,
    /** Show what things cost now, and order at that. */
    async acceptNewPrice() {
      const now = await lookUpAgain(wanted.value.map((item) => item.id))
      renewCart(now)
      await buy(now.length ? now : wanted.value)
    },
    payOpenOrder: (id: string, payUrl: string | null) => toCashier(id, payUrl),
    async replaceOpenOrder(id: string) {
      if (await actions.cancel(id)) await buy(wanted.value)
    },
    /** A price that changed is shown even to those who then decline. */
    async declineNewPrice() {
      checkout.dismiss()
      renewCart(await lookUpAgain(wanted.value.map((item) => item.id)))
    },
  }
}

export type Buying = ReturnType<typeof useBuying>

/** Call back when the page is shown again from the browser's memory, as it stood before the cashier. */
export function onShownAgain(shown: () => void): void {
  const listen = (event: PageTransitionEvent) => event.persisted && shown()
  onMounted(() => window.addEventListener('pageshow', listen))
  onUnmounted(() => window.removeEventListener('pageshow', listen))
}
