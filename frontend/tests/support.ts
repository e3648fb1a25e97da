import { ApolloLink, Observable, type FetchResult, type Operation } from '@apollo/client/core'
import { DefaultApolloClient } from '@vue/apollo-composable'
import { mount } from '@vue/test-utils'
import { createI18n } from 'vue-i18n'
import { createMemoryHistory, createRouter } from 'vue-router'
import { defineComponent } from 'vue'
import { shopClient, type ShopClient } from '@/apollo/client'
import messages from '@/i18n/en.json'

type Answer = FetchResult | Error | Observable<FetchResult> | Promise<FetchResult>

/** Stands where the network is: keeps what was asked, and answers by operation name. */
export class FakeServer {
  readonly asked: Operation[] = []
  private readonly answers: Record<string, (operation: Operation) => Answer> = {}
  readonly client: ShopClient = shopClient(new ApolloLink((operation) => this.answer(operation)))

  on(name: string, answer: (operation: Operation) => Answer): this {
    this.answers[name] = answer
    return this
  }

  count(name: string): number {
    return this.asked.filter((operation) => operation.operationName === name).length
  }

  private answer(operation: Operation): Observable<FetchResult> {
    this.asked.push(operation)
    const answer = this.answers[operation.operationName]?.(operation) ?? new Error('not answered here')
    if (answer instanceof Observable) return answer
    return new Observable((sink) => {
      const settle = (result: FetchResult) => {
        // A subscription's root is not asked for its name; the others' is.
        sink.next(result.data ? { ...result, data: { __typename: 'Query', ...result.data } } : result)
        sink.complete()
      }
      if (answer instanceof Error) sink.error(answer)
      else if (answer instanceof Promise) answer.then(settle, (error: unknown) => sink.error(error))
      else settle(answer)
    })
  }
}

export function refused(code: string): FetchResult {
  return { errors: [{ message: code, extensions: { code } }] } as unknown as FetchResult
}

/** Run a composable in a component of its own. */
export function withSetup<T>(client: ShopClient, composable: () => T): { result: T; unmount: () => void } {
  let result!: T
  const component = defineComponent({
    setup() {
      result = composable()
      return () => null
    },
  })
  const i18n = createI18n({ legacy: false, locale: 'en', messages: { en: messages } })
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component }] })
  const wrapper = mount(component, {
    global: { plugins: [i18n, router], provide: { [DefaultApolloClient as symbol]: client } },
  })
  return { result, unmount: () => wrapper.unmount() }
}

/** Let promises and Vue's queue run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}
