import type { DocumentNode } from 'graphql'
import { useQuery } from '@vue/apollo-composable'
import { computed, ref, type ComputedRef } from 'vue'
import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { problemOf } from '@/apollo/problems'

/** A page of a list, as every connection of the schema has it. */
interface Connection<Row> {
  totalCount: number
  pageInfo: { hasNextPage: boolean; endCursor?: string | null }
  edges: { node: Row }[]
}

/**
 * A list that grows by cursor. The cache joins the pages; a failure to load more leaves what is there.
 *
 * @param document a query with `first` and `after`
 * @param variables its other variables
 * @param connectionOf where the connection is in its answer
 */
export function useList<Data, Variables extends { first: number; after?: string | null }, Row>(
  document: TypedDocumentNode<Data, Variables> & DocumentNode,
  variables: ComputedRef<Omit<Variables, 'after'>>,
  connectionOf: (data: Data) => Connection<Row>,
) {
  const query = useQuery<Data, Variables>(document, () => variables.value as Variables, {
    fetchPolicy: 'cache-and-network',
    nextFetchPolicy: 'cache-first',
  })
  const moreLoading = ref(false)
  const connection = computed(() => (query.result.value ? connectionOf(query.result.value) : null))

  async function more(): Promise<void> {
    if (moreLoading.value || !connection.value) return
    moreLoading.value = true
    const after = connection.value.pageInfo.endCursor ?? null
    await query.fetchMore({ variables: { ...variables.value, after } as Variables })?.catch(() => undefined)
    moreLoading.value = false
  }

  return {
    rows: computed(() => connection.value?.edges.map((edge) => edge.node) ?? []),
    total: computed(() => connection.value?.totalCount ?? 0),
    hasMore: computed(() => connection.value?.pageInfo.hasNextPage ?? false),
    isLoading: computed(() => query.loading.value && !connection.value),
    moreLoading,
    problem: computed(() => (query.error.value && !connection.value ? problemOf(query.error.value) : null)),
    more,
    reload: async () => {
      await query.refetch()?.catch(() => undefined)
    },
  }
}
