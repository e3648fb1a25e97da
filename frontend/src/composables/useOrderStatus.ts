import { useApolloClient, useQuery } from '@vue/apollo-composable'
import { computed, ref, toValue, watch, type ComputedRef, type MaybeRefOrGetter, type Ref } from 'vue'
import { problemOf, statusOf, type Problem } from '@/apollo/problems'
import type { ShopClient } from '@/apollo/client'
import { OrderFollower, type Connection, type Transport } from '@/composables/orderFollower'
import {
  OrderDocument,
  OrderProgressDocument,
  OrderUpdatedDocument,
  type OrderFieldsFragment,
} from '@/gql/graphql'

export interface OrderStatus {
  /** The order as it stands; null until the first answer, and where there is none for this buyer. */
  order: ComputedRef<OrderFieldsFragment | null>
  /** Whether the first answer is still awaited. */
  loading: Ref<boolean>
  /** Why there is no order to show. Failures in mid-wait are not here: see `connection`. */
  problem: ComputedRef<Problem | null>
  /** How changes arrive just now. */
  connection: Ref<Connection>
  /** Ask again now, with all that is shown. */
  refresh(): Promise<void>
}

/** Set once a server turns out to have no stream: the next order is polled from the start. */
let serverHasNoStream = false

/**
 * An order that keeps itself up to date until it has ended.
 *
 * Reads from Apollo's cache, so that a `cancelOrder` elsewhere on the page is seen as well; what feeds the cache is the
 * subscription `orderUpdated`, or polling by `nextPollAfterMs` where the stream is missing, held back or lost. Nothing
 * is asked while the tab is hidden or the browser offline; coming back asks at once. Stops at `isTerminal`, and with
 * the component.
 *
 * @param id the order's id; null or undefined: nothing to follow yet
 */
export function useOrderStatus(id: MaybeRefOrGetter<string | null | undefined>): OrderStatus {
  const { client } = useApolloClient()
  const connection = ref<Connection>('paused')
  const orderId = computed(() => toValue(id) ?? null)
  const { result, loading, error, refetch } = useQuery(
    OrderDocument,
    () => ({ id: orderId.value ?? '' }),
    () => ({
      enabled: orderId.value !== null,
      fetchPolicy: 'cache-and-network',
      nextFetchPolicy: 'cache-first',
    }),
  )
  const order = computed(() => (orderId.value === null ? null : (result.value?.order ?? null)))

  const waitingFor = computed(() => (order.value && !order.value.isTerminal ? order.value.id : null))
  watch(
    waitingFor,
    (waited, _before, onCleanup) => {
      if (waited === null) return
      onCleanup(follow(client as ShopClient, waited, connection))
    },
    { immediate: true },
  )

  return {
    order,
    loading,
    connection,
    problem: computed(() => (error.value && !order.value ? problemOf(error.value) : null)),
    refresh: async () => {
      await refetch()?.catch(() => undefined) // a failure is in `problem`
    },
  }
}

/** Follow until the returned function is called, resting while nobody looks. */
function follow(client: ShopClient, id: string, connection: Ref<Connection>): () => void {
  const follower = new OrderFollower(transportTo(client, id), {
    onConnection: (now) => (connection.value = now),
  })
  const restOrGo = () => (document.hidden || !navigator.onLine ? follower.pause() : follower.start())
  const events = [
    [document, 'visibilitychange'],
    [window, 'online'],
    [window, 'offline'],
    [window, 'pageshow'], // back from the cashier by the browser's own button
  ] as const
  const awake = () => {
    follower.pause() // what was open before a sleep may be dead
    restOrGo()
  }
  for (const [target, name] of events) target.addEventListener(name, awake)
  restOrGo()
  return () => {
    for (const [target, name] of events) target.removeEventListener(name, awake)
    follower.stop()
  }
}

function transportTo(client: ShopClient, id: string): Transport {
  return {
    open: (stream) => openStream(client, id, stream),
    poll: () => poll(client, id),
    hasNoStream: (error) => {
      serverHasNoStream ||= [404, 405, 406, 415, 501].includes(statusOf(error) ?? 0)
      return serverHasNoStream
    },
    isFinal: (error) => problemOf(error) === 'UNAUTHENTICATED',
  }
}

/** What arrives is the whole order: Apollo writes it to the cache, and the page changes. */
function openStream(client: ShopClient, id: string, stream: Parameters<Transport['open']>[0]): () => void {
  if (serverHasNoStream) {
    stream.ended()
    return () => undefined
  }
  const subscription = client.subscribe({ query: OrderUpdatedDocument, variables: { id } }).subscribe({
    next: ({ data, errors }) => {
      if (data?.orderUpdated) stream.next(data.orderUpdated)
      else if (errors?.length) stream.ended(errors[0])
    },
    error: (error: unknown) => stream.ended(error),
    complete: () => stream.ended(),
  })
  return () => subscription.unsubscribe()
}

/** The little that changes, and the whole order once it has: two indexed queries at most while nothing happens. */
async function poll(client: ShopClient, id: string) {
  const options = { variables: { id }, fetchPolicy: 'network-only' } as const
  const before = client.readQuery({ query: OrderDocument, variables: { id } })?.order?.status
  const { data } = await client.query({ query: OrderProgressDocument, ...options })
  if (data.order && data.order.status !== before) await client.query({ query: OrderDocument, ...options })
  return data.order ?? null
}
