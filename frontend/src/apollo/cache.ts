import { InMemoryCache } from '@apollo/client/core'
import { relayStylePagination } from '@apollo/client/utilities'
import possible from '@/gql/possible-types'
import { noteServerTime } from '@/server-time'

/** Orders and courses by id, lists that grow by cursor. */
export function shopCache(): InMemoryCache {
  return new InMemoryCache({
    possibleTypes: possible.possibleTypes,
    typePolicies: {
      Query: {
        fields: {
          courses: relayStylePagination(['search']),
          orders: relayStylePagination(['status']),
          myCourses: relayStylePagination(),
        },
      },
      Order: {
        fields: {
          serverTime: {
            // A merge runs when an answer arrives and never when the cache is read: this is the moment to set the clock.
            merge(_existing: string | undefined, incoming: string) {
              noteServerTime(incoming)
              return incoming
            },
          },
        },
      },
    },
  })
}
