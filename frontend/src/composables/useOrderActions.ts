import { useApolloClient } from '@vue/apollo-composable'
import { ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { problemOf } from '@/apollo/problems'
import {
  CancelOrderDocument,
  PayOrderDocument,
  type CancelOrderMutation,
  type PayOrderMutation,
} from '@/gql/graphql'
import { goToCashier } from '@/leaving'
import { say } from '@/notice'

type Refusal =
  | Exclude<PayOrderMutation['payOrder'], { __typename: 'PayOrderSuccess' }>
  | Exclude<CancelOrderMutation['cancelOrder'], { __typename: 'CancelOrderSuccess' }>

/** Paying an order that waits, and cancelling it. The answers carry the order, so every view of it changes at once. */
export function useOrderActions() {
  const { client } = useApolloClient()
  const { t } = useI18n()
  const busy = ref(false)

  /** Run one at a time; whatever goes wrong becomes a sentence. */
  async function once(work: () => Promise<boolean>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    try {
      return await work()
    } catch (error) {
      say(t(`problem.${problemOf(error)}`), 'bad')
      return false
    } finally {
      busy.value = false
    }
  }

  function refuse(refusal: Refusal): false {
    say(sentenceOf(refusal), 'bad')
    return false
  }

  function sentenceOf(refusal: Refusal): string {
    switch (refusal.__typename) {
      case 'RateLimited':
        return t('order.tooMany', { seconds: Math.max(1, Math.ceil(refusal.retryAfterMs / 1000)) })
      case 'AlreadyOwned':
        return t('order.ownedNow')
      case 'OrderNotPayable':
        return t('order.notPayable')
      case 'OrderNotCancellable':
        return t('order.notCancellable')
      case 'OrderNotFound':
        return t('order.missing')
      default:
        return t('order.refused', { message: refusal.message })
    }
  }

  return {
    busy,
    /** To the cashier, with a fresh address. True when the browser is leaving. */
    pay: (orderId: string) =>
      once(async () => {
        const { data } = await client.mutate({
          mutation: PayOrderDocument,
          variables: { input: { orderId } },
        })
        if (data?.payOrder.__typename !== 'PayOrderSuccess') return data ? refuse(data.payOrder) : false
        goToCashier(data.payOrder.payUrl)
        return true
      }),
    /** True when the order is cancelled. */
    cancel: (orderId: string) =>
      once(async () => {
        const { data } = await client.mutate({
          mutation: CancelOrderDocument,
          variables: { input: { orderId } },
        })
        if (data?.cancelOrder.__typename !== 'CancelOrderSuccess')
          return data ? refuse(data.cancelOrder) : false
        return true
      }),
  }
}
