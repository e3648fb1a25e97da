import { useApolloClient } from '@vue/apollo-composable'
import { onScopeDispose, ref } from 'vue'
import { problemOf, type Problem } from '@/apollo/problems'
import { ConfirmReturnDocument } from '@/gql/graphql'
import { session } from '@/session'
import { isRecord } from '@/storage'

/** What the way back from the cashier came to. */
export type Return =
  | { kind: 'looking' }
  /** The order to show, whatever its status: the address proves nothing. */
  | { kind: 'order'; orderId: string }
  /** No session in this browser: only whether this number is paid may be told. */
  | { kind: 'visitor'; paid: boolean }
  | { kind: 'unsigned' }
  | { kind: 'notYours' }
  /** The address brings no order at all. */
  | { kind: 'nothing' }
  | { kind: 'problem'; problem: Problem }

const FIRST_WAIT_MS = 3_000
const MOST_TRIES = 12

/**
 * Takes `location.search` of /pay/success to the backend, as it stands: it is signed, byte for byte.
 *
 * @param search `location.search`
 */
export function useReturn(search: string) {
  const { client } = useApolloClient()
  const outcome = ref<Return>({ kind: 'looking' })
  let timer: ReturnType<typeof setTimeout> | undefined
  onScopeDispose(() => clearTimeout(timer))

  async function confirm(): Promise<Return> {
    const { data } = await client.mutate({
      mutation: ConfirmReturnDocument,
      variables: { input: { query: search } },
    })
    switch (data?.confirmReturn.__typename) {
      case 'ConfirmReturnSuccess':
        return { kind: 'order', orderId: data.confirmReturn.order.id }
      case 'OrderNotFound':
        return { kind: 'notYours' }
      case 'RateLimited':
        return { kind: 'problem', problem: 'RATE_LIMITED' }
      default:
        return { kind: 'unsigned' }
    }
  }

  /** By REST, which needs no session. Each try asks Alipay: seldom, ever more so, and not for ever. */
  async function confirmVisitor(tries = 0): Promise<Return> {
    const response = await fetch(`/payments/alipay/return/${search}`, {
      headers: { accept: 'application/json' },
    })
    if (response.status >= 500) return { kind: 'problem', problem: 'SERVER_DOWN' }
    const answer: unknown = response.ok ? await response.json() : null
    if (!isRecord(answer) || answer.verified !== true) return { kind: 'unsigned' }
    if (answer.status === 'UNPAID' && tries < MOST_TRIES) {
      timer = setTimeout(() => void settle(() => confirmVisitor(tries + 1)), FIRST_WAIT_MS * 1.5 ** tries)
    }
    return { kind: 'visitor', paid: answer.paid === true }
  }

  async function settle(ask: () => Promise<Return>): Promise<void> {
    try {
      outcome.value = await ask()
    } catch (error) {
      outcome.value = {
        kind: 'problem',
        problem: error instanceof TypeError ? 'SERVER_DOWN' : problemOf(error),
      }
    }
  }

  async function look(): Promise<void> {
    clearTimeout(timer)
    outcome.value = { kind: 'looking' }
    if (!new URLSearchParams(search).has('out_trade_no')) {
      outcome.value = { kind: 'nothing' }
      return
    }
    if (session.value) await settle(confirm)
    if (!session.value) await settle(() => confirmVisitor()) // also where the token has ended on the way
  }

  return { outcome, look }
}
