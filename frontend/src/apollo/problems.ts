import { ApolloError, type ServerError } from '@apollo/client/core'

/** Why a question has no answer of its own kind. Each has its sentence under `problem` in the messages. */
export type Problem = 'UNAUTHENTICATED' | 'RATE_LIMITED' | 'OFFLINE' | 'SERVER_DOWN' | 'FAILED'

/** What went wrong, from whatever Apollo throws. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof ApolloError)) return 'FAILED'
  const codes = error.graphQLErrors.map((each) => each.extensions?.code)
  if (codes.includes('UNAUTHENTICATED')) return 'UNAUTHENTICATED'
  if (codes.includes('RATE_LIMITED')) return 'RATE_LIMITED'
  return error.networkError ? ofNetwork(error.networkError) : 'FAILED'
}

/** A 4xx is an answer, if a bad one. No answer, a 5xx and a proxy's HTML mean that the server is away. */
function ofNetwork(error: Error): Problem {
  if (!navigator.onLine) return 'OFFLINE'
  const status = statusOf(error)
  if (status === 429) return 'RATE_LIMITED'
  return status !== null && status >= 400 && status < 500 ? 'FAILED' : 'SERVER_DOWN'
}

/** The HTTP status of a failed request; null where none came. */
export function statusOf(error: unknown): number | null {
  const cause = error instanceof ApolloError ? error.networkError : error
  return cause instanceof Error && 'statusCode' in cause ? (cause as ServerError).statusCode : null
}
