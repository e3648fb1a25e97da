import { isRecord, keep, recall } from '@/storage'

/** One click on a buy button, until the server has answered it. */
export interface Attempt {
  /** The idempotency key: the server makes one order for it, however often it is sent. */
  key: string
  courseIds: string[]
  totalAmount: string
}

const NAME = 'attempt'

/**
 * The attempt for this basket: a new one, or the one whose answer never came (the network went, the page was
 * reloaded). It is kept before anything is sent, for this tab alone.
 */
export function attemptFor(courseIds: readonly string[], totalAmount: string): Attempt {
  const wanted = [...courseIds].sort()
  const last = recall('sessionStorage', NAME, isAttempt)
  if (last && last.totalAmount === totalAmount && last.courseIds.join() === wanted.join()) return last
  const attempt = { key: newKey(), courseIds: wanted, totalAmount }
  keep('sessionStorage', NAME, attempt)
  return attempt
}

/** The server has answered, whichever way: the next click is another purchase. */
export function forgetAttempt(): void {
  keep('sessionStorage', NAME, null)
}

/** 128 random bits in hex. `crypto.randomUUID` would be missing on a plain-http address. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function isAttempt(value: unknown): value is Attempt {
  return (
    isRecord(value) &&
    typeof value.key === 'string' &&
    typeof value.totalAmount === 'string' &&
    Array.isArray(value.courseIds) &&
    value.courseIds.every((id) => typeof id === 'string')
  )
}
