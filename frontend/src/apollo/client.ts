import {
  ApolloClient,
  setLogVerbosity,
  type ApolloLink,
  type NormalizedCacheObject,
} from '@apollo/client/core'
import { shopCache } from '@/apollo/cache'
import { shopLink } from '@/apollo/links'

// @vue/apollo-composable calls what Apollo 4 will drop, and Apollo 3.14 warns of it at every failed query.
setLogVerbosity('error')

export type ShopClient = ApolloClient<NormalizedCacheObject>

/** Apollo as the shop uses it. Tests give a link of their own. */
export function shopClient(link: ApolloLink = shopLink()): ShopClient {
  return new ApolloClient({ link, cache: shopCache() })
}
