// @vitest-environment node
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client/core'
import { afterEach, expect, test, vi } from 'vitest'
import { OrderUpdatedDocument } from '@/gql/graphql'
import { orderOf, paid } from './orders'

/** What Apollo Client sends and reads, over real HTTP: the backend's stream must speak this. */
let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function clientOf(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  server = createServer(handle).listen(0, '127.0.0.1')
  await vi.waitFor(() => expect(server?.listening).toBe(true))
  const { port } = server.address() as AddressInfo
  const link = new HttpLink({ uri: `http://127.0.0.1:${port}/graphql/stream` })
  return new ApolloClient({ link, cache: new InMemoryCache() })
}

/** A part ends with the boundary of the next: Apollo Client reads it only then, so it must not be held back. */
const part = (payload: object) =>
  `\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(payload)}\r\n--graphql`

test('a subscription is multipart over HTTP: heartbeats are skipped, the last part completes it', async () => {
  let accept: string | undefined
  const client = await clientOf((request, response) => {
    accept = request.headers.accept
    response.writeHead(200, { 'content-type': 'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"' })
    response.write('\r\n--graphql')
    response.write(part({ payload: { data: { orderUpdated: orderOf() } } }))
    response.write(part({}))
    response.write(part({ payload: { data: { orderUpdated: paid() } } }))
    response.end('--\r\n')
  })
  const statuses: unknown[] = []
  await new Promise<void>((complete, reject) => {
    client.subscribe({ query: OrderUpdatedDocument, variables: { id: '1' } }).subscribe({
      next: ({ data }) => statuses.push(data?.orderUpdated.status),
      error: reject,
      complete,
    })
  })
  expect(statuses).toEqual(['UNPAID', 'PAID'])
  expect(accept).toContain('multipart/mixed')
  expect(accept).toContain('subscriptionSpec=1.0')
})

test('leaving the stream closes its connection', async () => {
  let isClosed = false
  const client = await clientOf((_request, response) => {
    response.on('close', () => (isClosed = true))
    response.writeHead(200, { 'content-type': 'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"' })
    response.write('\r\n--graphql')
    response.write(part({ payload: { data: { orderUpdated: orderOf() } } }))
  })
  await new Promise<void>((heard) => {
    const subscription = client
      .subscribe({ query: OrderUpdatedDocument, variables: { id: '1' } })
      .subscribe(() => {
        subscription.unsubscribe()
        heard()
      })
  })
  await vi.waitFor(() => expect(isClosed).toBe(true))
})
