/**
 * Yuan strings of the API ("117.00") and whole fen to count with: floating point never touches an amount.
 */
const YUAN = /^[0-9]{1,8}\.[0-9]{2}$/

/** "117.00" → 11700. Throws on anything that is not the API's Money. */
export function fen(yuan: string): number {
  if (!YUAN.test(yuan)) throw new TypeError(`not an amount: ${yuan}`)
  return Number(yuan.replace('.', ''))
}

/** 11700 → "117.00". */
export function yuan(fen: number): string {
  return `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`
}

/** The sum of yuan strings, as one: what `createOrder` wants as `totalAmount`. */
export function total(prices: readonly string[]): string {
  return yuan(prices.reduce((sum, price) => sum + fen(price), 0))
}
