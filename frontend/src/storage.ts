/**
 * JSON in the browser's storage, under "coursepay.". A browser may refuse storage (private mode, a full disk): then
 * the shop works without a memory.
 */
const PREFIX = 'coursepay.'

type Kind = 'localStorage' | 'sessionStorage'

/** What was kept, if it is there and `isValid` knows it: what another version of the shop wrote is not trusted. */
export function recall<T>(kind: Kind, name: string, isValid: (value: unknown) => value is T): T | null {
  try {
    const value: unknown = JSON.parse(window[kind].getItem(PREFIX + name) ?? 'null')
    return isValid(value) ? value : null
  } catch {
    return null
  }
}

/** Keep a value; null forgets it. */
export function keep(kind: Kind, name: string, value: unknown): void {
  try {
    if (value === null) window[kind].removeItem(PREFIX + name)
    else window[kind].setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    // Refused: nothing depends on it but memory across a reload.
  }
}

/** Call back when another tab changes what is kept under the name. */
export function onChangeElsewhere(name: string, changed: () => void): void {
  window.addEventListener('storage', (event) => {
    if (event.key === null || event.key === PREFIX + name) changed()
  })
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
