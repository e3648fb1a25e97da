import { readonly, ref } from 'vue'
import { isRecord, keep, onChangeElsewhere, recall } from '@/storage'

/** Who is signed in, in every tab of this browser. */
export interface Session {
  token: string
  username: string
}

const NAME = 'session'
const current = ref<Session | null>(recall('localStorage', NAME, isSession))
const hasExpired = ref(false)
onChangeElsewhere(NAME, () => (current.value = recall('localStorage', NAME, isSession)))

/** Null for a visitor. Written by `startSession` and `endSession` alone. */
export const session = readonly(current)

/** Whether the last session ended by the server's word, not by the user's. */
export const sessionExpired = readonly(hasExpired)

export function startSession(started: Session): void {
  set(started, false)
}

export function endSession({ expired }: { expired: boolean }): void {
  set(null, expired)
}

function set(value: Session | null, expired: boolean): void {
  current.value = value
  hasExpired.value = expired
  keep('localStorage', NAME, value)
}

function isSession(value: unknown): value is Session {
  return isRecord(value) && typeof value.token === 'string' && typeof value.username === 'string'
}
