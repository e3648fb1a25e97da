import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { effectScope } from 'vue'

const NOON = Date.parse('2026-11-22T12:00:00+08:00')
const iso = (ms: number) => new Date(ms).toISOString()

let clock: typeof import('@/server-time')
beforeEach(async () => {
  vi.useFakeTimers({ now: NOON + 3_600_000 }) // the client's clock is an hour fast
  vi.resetModules()
  clock = await import('@/server-time')
})
afterEach(() => vi.useRealTimers())

test('the server is asked, not the wall clock', () => {
  clock.noteServerTime(iso(NOON))
  vi.advanceTimersByTime(5000)
  vi.setSystemTime(0)
  expect(clock.serverNow()).toBe(NOON + 5000)
})

test('an answer that took long does not set the clock back; a fresher one sets it forward', () => {
  clock.noteServerTime(iso(NOON))
  vi.advanceTimersByTime(5000)
  clock.noteServerTime(iso(NOON + 2000)) // three seconds on the way
  expect(clock.serverNow()).toBe(NOON + 5000)
  clock.noteServerTime(iso(NOON + 5400))
  expect(clock.serverNow()).toBe(NOON + 5400)
})

test('nonsense sets nothing', () => {
  clock.noteServerTime(iso(NOON))
  clock.noteServerTime('tomorrow')
  expect(clock.serverNow()).toBe(NOON)
})

test('a count-down runs by itself, ends at 0 and stops with its component', () => {
  clock.noteServerTime(iso(NOON))
  const scope = effectScope()
  const left = scope.run(() => clock.useSecondsUntil(() => iso(NOON + 2500)))
  expect(left?.value).toBe(3)
  vi.advanceTimersByTime(1000)
  expect(left?.value).toBe(2)
  vi.advanceTimersByTime(10_000)
  expect(left?.value).toBe(0)
  scope.stop()
  expect(vi.getTimerCount()).toBe(0)
})
