import { computed, onScopeDispose, ref, toValue, type ComputedRef, type MaybeRefOrGetter } from 'vue'

/**
 * The server's clock, from the `serverTime` of answers and the browser's own count of milliseconds since the page was
 * opened: the wall clock of the client is never asked, so it may be wrong, or set in between.
 *
 * An answer is always a little old, so each gives an offset that is too small; the largest one seen is the best.
 */
let offset: number | null = null

/** Take the `serverTime` of an answer that has just arrived. */
export function noteServerTime(iso: string): void {
  const candidate = Date.parse(iso) - performance.now()
  if (Number.isFinite(candidate) && (offset === null || candidate > offset)) offset = candidate
}

/** Milliseconds since 1970 by the server's clock; by the client's own until the first answer. */
export function serverNow(): number {
  return offset === null ? Date.now() : offset + performance.now()
}

/** Whole seconds until then, never below 0; counts down by itself. Null without a time. */
export function useSecondsUntil(
  iso: MaybeRefOrGetter<string | null | undefined>,
): ComputedRef<number | null> {
  const seconds = ref(0)
  const timer = setInterval(() => seconds.value++, 1000)
  onScopeDispose(() => clearInterval(timer))
  return computed(() => {
    const until = toValue(iso)
    return until && seconds.value >= 0
      ? Math.max(0, Math.ceil((Date.parse(until) - serverNow()) / 1000))
      : null
  })
}
