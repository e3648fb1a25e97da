import { useApolloClient } from '@vue/apollo-composable'
import { problemOf, type Problem } from '@/apollo/problems'
import { LoginDocument, LogoutDocument } from '@/gql/graphql'
import { endSession, startSession } from '@/session'

export type SignInOutcome =
  | { kind: 'signedIn'; username: string }
  | { kind: 'wrong' }
  | { kind: 'rateLimited'; seconds: number }
  | { kind: 'failed'; problem: Problem }

/** Signing in and out. What the last shopper saw leaves the cache with them. */
export function useSignIn() {
  const { client } = useApolloClient()

  async function signIn(username: string, password: string): Promise<SignInOutcome> {
    try {
      const variables = { input: { username, password } }
      const { data } = await client.mutate({ mutation: LoginDocument, variables, fetchPolicy: 'no-cache' })
      if (data?.login.__typename === 'RateLimited') {
        return { kind: 'rateLimited', seconds: Math.max(1, Math.ceil(data.login.retryAfterMs / 1000)) }
      }
      if (data?.login.__typename !== 'LoginSuccess') return { kind: 'wrong' }
      const { token, user } = data.login
      startSession({ token, username: user.username })
      await client.clearStore()
      return { kind: 'signedIn', username: user.username }
    } catch (error) {
      return { kind: 'failed', problem: problemOf(error) }
    }
  }

  /** Ends here whatever the server answers: a token that cannot be ended now ends by its own time. */
  async function signOut(): Promise<void> {
    await client.mutate({ mutation: LogoutDocument }).catch(() => undefined)
    endSession({ expired: false })
    await client.resetStore().catch(() => undefined)
  }

  return { signIn, signOut }
}
