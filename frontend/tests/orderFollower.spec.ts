import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  FIRST_WORD_MS,
  OrderFollower,
  SILENCE_MS,
  type Connection,
  type Progress,
  type Transport,
} from '@/composables/orderFollower'

const waiting: Progress = { isTerminal: false, nextPollAfterMs: 3000 }
const over: Progress = { isTerminal: true, nextPollAfterMs: null }
const GONE = new Error('404')
const SIGNED_OUT = new Error('UNAUTHENTICATED')

type Stream = Parameters<Transport['open']>[0]

/** A server on strings: the test speaks for it. */
class Strings implements Transport {
  streams: (Stream & { isOpen: boolean })[] = []
  polls = 0
  answer: () => Promise<Progress | null> = () => Promise.resolve(waiting)
  connections: Connection[] = []
  failures: unknown[] = []
  follower = new OrderFollower(this, {
    onConnection: (connection) => this.connections.push(connection),
    onFailure: (error) => this.failures.push(error),
  })

  open(stream: Stream) {
    const mine = {
      next: stream.next,
      ended: (error?: unknown) => {
        mine.isOpen = false
        stream.ended(error)
      },
      isOpen: true,
    }
    this.streams.push(mine)
    return () => void (mine.isOpen = false)
  }
  poll() {
    this.polls++
    return this.answer()
  }
  hasNoStream = (error: unknown) => error === GONE
  isFinal = (error: unknown) => error === SIGNED_OUT

  get stream() {
    const last = this.streams.at(-1)
    if (!last) throw new Error('no stream was opened')
    return last
  }
  get openStreams() {
    return this.streams.filter((stream) => stream.isOpen).length
  }
  get now() {
    return this.connections.at(-1)
  }
}

let server: Strings
beforeEach(() => {
  vi.useFakeTimers()
  server = new Strings()
})
afterEach(() => {
  server.follower.stop()
  expect(vi.getTimerCount()).toBe(0) // nothing is left running behind
  expect(server.openStreams).toBe(0)
  vi.useRealTimers()
})
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

test('while the stream speaks nothing is polled, and its last word ends all', async () => {
  server.follower.start()
  server.stream.next(waiting)
  await pass(SILENCE_MS - 1)
  expect(server.polls).toBe(0)
  expect(server.now).toBe('live')
  server.stream.next(over)
  expect(server.now).toBe('ended')
})

test('a server without a stream is polled as often as it says, and its stream not tried again', async () => {
  server.follower.start()
  server.stream.ended(GONE)
  await pass(0)
  expect(server.polls).toBe(1)
  await pass(2999)
  expect(server.polls).toBe(1)
  await pass(1)
  expect(server.polls).toBe(2)
  await pass(600_000)
  expect(server.streams).toHaveLength(1)
})

test('polling stops at the end', async () => {
  server.answer = () => Promise.resolve(over)
  server.follower.start()
  server.stream.ended(GONE)
  await pass(60_000)
  expect(server.polls).toBe(1)
  expect(server.now).toBe('ended')
})

test('an order that is not there is not asked for again', async () => {
  server.answer = () => Promise.resolve(null)
  server.follower.start()
  server.stream.ended(GONE)
  await pass(60_000)
  expect(server.polls).toBe(1)
})

test('a stream that is held back is polled beside, until it speaks', async () => {
  server.follower.start()
  await pass(FIRST_WORD_MS)
  expect(server.polls).toBe(1)
  expect(server.now).toBe('polling')
  server.stream.next(waiting)
  await pass(SILENCE_MS - 1)
  expect(server.polls).toBe(1)
  expect(server.now).toBe('live')
})

test('a stream that died without a word is found out by a poll', async () => {
  server.follower.start()
  server.stream.next(waiting)
  server.answer = () => Promise.resolve(over)
  await pass(SILENCE_MS)
  expect(server.now).toBe('ended')
})

test('a lost stream is polled for at once, and opened again ever more seldom', async () => {
  server.follower.start()
  server.stream.next(waiting)
  server.stream.ended(new Error('reset'))
  await pass(0)
  expect(server.polls).toBe(1)
  await pass(2000)
  expect(server.streams).toHaveLength(2)
  server.stream.ended(new Error('reset'))
  await pass(3999)
  expect(server.streams).toHaveLength(2)
  await pass(1)
  expect(server.streams).toHaveLength(3)
  server.stream.next(waiting)
  expect(server.now).toBe('live')
})

test('a server that is down is asked ever more seldom, and found again', async () => {
  server.answer = () => Promise.reject(new Error('down'))
  server.follower.start()
  server.stream.ended(GONE)
  await pass(0)
  expect(server.now).toBe('unreachable')
  await pass(2000 + 4000 + 8000)
  expect(server.polls).toBe(4)
  await pass(15_000 * 4)
  expect(server.polls).toBe(8)
  server.answer = () => Promise.resolve(over)
  await pass(15_000)
  expect(server.now).toBe('ended')
  expect(server.failures).toHaveLength(8)
})

test('a hidden tab holds no connection and asks nothing; shown again it goes on', async () => {
  server.follower.start()
  server.stream.next(waiting)
  server.follower.pause()
  expect(server.openStreams).toBe(0)
  await pass(3_600_000)
  expect(server.polls).toBe(0)
  server.follower.start()
  expect(server.openStreams).toBe(1)
  server.stream.next(over)
  expect(server.now).toBe('ended')
})

test('a stream that waits to be opened again is not opened in a hidden tab', async () => {
  server.follower.start()
  server.stream.ended(new Error('reset'))
  server.follower.pause()
  await pass(60_000)
  expect(server.streams).toHaveLength(1)
})

test('what an earlier stream or poll still says after a pause counts for nothing', async () => {
  let answer: (progress: Progress) => void = () => undefined
  server.answer = () => new Promise((resolve) => (answer = resolve))
  server.follower.start()
  const earlier = server.stream
  await pass(FIRST_WORD_MS)
  server.follower.pause()
  earlier.next(over)
  earlier.ended(new Error('reset'))
  answer(over)
  await pass(60_000)
  expect(server.now).toBe('paused')
  expect(server.polls).toBe(1)
})

test.each(['stream', 'poll'])('a sign-in that has ended ends the following: by %s', async (where) => {
  server.follower.start()
  if (where === 'stream') server.stream.ended(SIGNED_OUT)
  else {
    server.answer = () => Promise.reject(SIGNED_OUT)
    await pass(FIRST_WORD_MS)
  }
  await pass(60_000)
  expect(server.now).toBe('ended')
  expect(server.failures).toEqual([SIGNED_OUT])
})

test('what has ended is not started again', () => {
  server.follower.start()
  server.stream.next(over)
  server.follower.pause()
  server.follower.start()
  expect(server.streams).toHaveLength(1)
})
