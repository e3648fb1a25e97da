/** What is handed from one page to the next, in the browser's history: once, and never by a link from outside. */

/** Take what the page before handed over; a reload, or coming back to this page, finds it no more. */
export function takeHandedOver(name: string): string | null {
  const { [name]: value, ...rest } = (history.state ?? {}) as Record<string, unknown>
  if (typeof value !== 'string') return null
  history.replaceState(rest, '')
  return value
}

/** Leave for the cashier. Only a web address: never one that a browser would run. */
export function goToCashier(payUrl: string): void {
  if (!['http:', 'https:'].includes(new URL(payUrl).protocol)) throw new TypeError('not a web address')
  location.assign(payUrl)
}
