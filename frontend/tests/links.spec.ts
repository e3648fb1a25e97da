import { gql, type NormalizedCacheObject, type ApolloClient } from '@apollo/client/core'
import { beforeEach, expect, test, vi } from 'vitest'
import { shopClient } from '@/apollo/client'
import { problemOf } from '@/apollo/problems'
import { CoursesDocument, OrdersDocument, OrderUpdatedDocument } from '@/gql/graphql'
import { endSession, session, sessionExpired, startSession } from '@/session'

interface Sent {
  url: string
  authorization: string | null
  body: { query?: string; extensions?: { persistedQuery?: { sha256Hash?: string } } }
}

let sent: Sent[]
let answers: (() => Response)[]
const json =
  (body: object, status = 200) =>
  () =>
    new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
const unauthenticated = json({ errors: [{ message: 'no', extensions: { code: 'UNAUTHENTICATED' } }] })
const noOrders = {
  data: { orders: { __typename: 'OrderConnection', totalCount: 0, edges: [], pageInfo: {} } },
}

function ask(client: ApolloClient<NormalizedCacheObject>, query = OrdersDocument) {
  return client.query({ query, variables: { first: 1 }, fetchPolicy: 'no-cache' })
}

beforeEach(() => {
  sent = []
  answers = []
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    const body = JSON.parse(init.body as string) as Sent['body']
    sent.push({ url, authorization: new Headers(init.headers).get('authorization'), body })
    const answer = answers.shift()
    return answer ? Promise.resolve(answer()) : Promise.reject(new TypeError('fetch failed'))
  })
  vi.stubEnv('VITE_TRUSTED_DOCUMENTS', 'off')
  endSession({ expired: false })
})

test('the token goes in the header, and nothing in its place without one', async () => {
  startSession({ token: 'good', username: 'buyer' })
  answers = [json(noOrders)]
  await ask(shopClient())
  endSession({ expired: false })
  answers = [json(noOrders)]
  await ask(shopClient())
  expect(sent.map((each) => each.authorization)).toEqual(['Bearer good', null])
})

test('a token that has ended ends the session, and the catalogue is read as a visitor', async () => {
  startSession({ token: 'old', username: 'buyer' })
  answers = [unauthenticated, json({ data: { courses: { __typename: 'CourseConnection', totalCount: 0 } } })]
  const { data } = await shopClient().query({
    query: CoursesDocument,
    variables: { first: 1 },
    fetchPolicy: 'no-cache',
  })
  expect(data.courses.totalCount).toBe(0)
  expect(sent.map((each) => each.authorization)).toEqual(['Bearer old', null])
  expect(session.value).toBeNull()
  expect(sessionExpired.value).toBe(true)
  expect(localStorage.getItem('coursepay.session')).toBeNull()
})

test('what needs a buyer is refused twice and then told', async () => {
  startSession({ token: 'old', username: 'buyer' })
  answers = [unauthenticated, unauthenticated]
  const problem = await ask(shopClient()).catch(problemOf)
  expect(problem).toBe('UNAUTHENTICATED')
  expect(sent).toHaveLength(2)
})

test('a visitor who is refused is not asked for again', async () => {
  answers = [unauthenticated, unauthenticated]
  expect(await ask(shopClient()).catch(problemOf)).toBe('UNAUTHENTICATED')
  expect(sent).toHaveLength(1)
})

test('a subscription goes to the stream', () => {
  shopClient()
    .subscribe({ query: OrderUpdatedDocument, variables: { id: '1' } })
    .subscribe({ error: () => undefined })
  expect(sent[0]?.url).toBe('/graphql/stream')
})

test('trusted documents go by their hash alone; the text follows where the server does not know it', async () => {
  vi.stubEnv('VITE_TRUSTED_DOCUMENTS', 'on')
  const trusted = (await import('../trusted-documents.json')).default as Record<string, string>
  answers = [
    json({ errors: [{ message: '?', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] }),
    json(noOrders),
  ]
  await ask(shopClient())
  const [first, second] = sent.map((each) => each.body)
  expect(first?.query).toBeUndefined()
  expect(trusted[first?.extensions?.persistedQuery?.sha256Hash ?? '']).toContain('query Orders')
  expect(second?.query).toContain('query Orders')
})

test('an operation that codegen has not seen is not sent', async () => {
  vi.stubEnv('VITE_TRUSTED_DOCUMENTS', 'on')
  const unknown = gql('query Unknown { me { id } }') as typeof OrdersDocument
  await expect(ask(shopClient(), unknown)).rejects.toThrow('npm run codegen')
  expect(sent).toEqual([])
})

test.each([
  [json({ errors: [{ message: 'x', extensions: { code: 'RATE_LIMITED' } }] }), 'RATE_LIMITED'],
  [json({ errors: [{ message: 'x', extensions: { code: 'INTERNAL' } }] }), 'FAILED'],
  [json({ errors: [{ message: 'x' }] }, 400), 'FAILED'],
  [() => new Response('<html>', { status: 502 }), 'SERVER_DOWN'],
])('a failure is named: %#', async (answer, problem) => {
  answers = [answer]
  expect(await ask(shopClient()).catch(problemOf)).toBe(problem)
})

test('no answer is a server that is down, or a browser that is offline', async () => {
  expect(await ask(shopClient()).catch(problemOf)).toBe('SERVER_DOWN')
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
  expect(await ask(shopClient()).catch(problemOf)).toBe('OFFLINE')
})
