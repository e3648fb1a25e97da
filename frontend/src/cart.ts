import { computed, readonly, ref } from 'vue'
import { total } from '@/money'
import { isRecord, keep, onChangeElsewhere, recall } from '@/storage'

/** A course in the cart, at the price that the shopper was shown. */
export interface CartItem {
  id: string
  name: string
  price: string
}

/** What `createOrder` takes at the most. */
export const MOST_COURSES = 50

const NAME = 'cart'
const kept = ref<CartItem[]>(load())
onChangeElsewhere(NAME, () => (kept.value = load()))

/** The cart: kept in this browser, the same in every tab, and never asked of the server until it is ordered. */
export const cart = readonly(kept)
export const cartTotal = computed(() => total(kept.value.map((item) => item.price)))

export function isInCart(id: string): boolean {
  return kept.value.some((item) => item.id === id)
}

/** Put a course in, once. False when the cart is full. */
export function addToCart({ id, name, price }: CartItem): boolean {
  if (isInCart(id)) return true
  if (kept.value.length >= MOST_COURSES) return false
  save([...kept.value, { id, name, price }])
  return true
}

export function removeFromCart(ids: readonly string[]): void {
  save(kept.value.filter((item) => !ids.includes(item.id)))
}

/** Names and prices as they are now. */
export function renewCart(courses: readonly CartItem[]): void {
  const now = new Map(courses.map((course) => [course.id, course]))
  save(kept.value.map((item) => toItem(now.get(item.id) ?? item)))
}

function toItem({ id, name, price }: CartItem): CartItem {
  return { id, name, price }
}

function save(items: CartItem[]): void {
  kept.value = items
  keep('localStorage', NAME, items.length ? items : null)
}

function load(): CartItem[] {
  return recall('localStorage', NAME, areItems) ?? []
}

function areItems(value: unknown): value is CartItem[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item) =>
        isRecord(item) && typeof item.id === 'string' && typeof item.name === 'string' && isMoney(item.price),
    )
  )
}

function isMoney(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9]{1,8}\.[0-9]{2}$/.test(value)
}
