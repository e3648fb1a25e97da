import { ApolloLink, HttpLink, split } from '@apollo/client/core'
import { onError } from '@apollo/client/link/error'
import { createPersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { getMainDefinition } from '@apollo/client/utilities'
import type { DocumentNode } from 'graphql'
import { endSession, session } from '@/session'

/** The token travels in a header: no cookie, so nothing for a foreign page to ride on. */
const authorization = new ApolloLink((operation, forward) => {
  const token = session.value?.token
  operation.setContext({ sentToken: token, headers: token ? { authorization: `Bearer ${token}` } : {} })
  return forward(operation)
})

/**
 * A token that is no longer good ends the session, and the operation goes again as a visitor's: the catalogue stays
 * readable, and what needs a buyer is refused once more, for its caller to send the shopper to the sign-in page.
 */
const expiry = onError(({ graphQLErrors, operation, forward }) => {
  const refused = graphQLErrors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED')
  const sent: unknown = operation.getContext().sentToken
  if (!refused || !sent) return undefined
  if (session.value?.token === sent) endSession({ expired: true })
  return forward(operation)
})

/** Operations by their hash; the text follows only where the server does not know the hash. */
const trustedDocuments = createPersistedQueryLink({ generateHash: hashOf })

function hashOf(document: DocumentNode): string {
  const meta = (document as DocumentNode & { __meta__?: { hash?: string } }).__meta__
  if (!meta?.hash) throw new Error('An operation without a hash: run npm run codegen')
  return meta.hash
}

/** Subscriptions are multipart over HTTP, which HttpLink speaks by itself; they have an address of their own. */
const http = split(
  ({ query }) => {
    const definition = getMainDefinition(query)
    return definition.kind === 'OperationDefinition' && definition.operation === 'subscription'
  },
  new HttpLink({ uri: '/graphql/stream' }),
  new HttpLink({ uri: '/graphql' }),
)

/** The way from an operation to the server. */
export function shopLink(): ApolloLink {
  const byHash = import.meta.env.VITE_TRUSTED_DOCUMENTS === 'on' ? [trustedDocuments] : []
  return ApolloLink.from([expiry, authorization, ...byHash, http])
}
