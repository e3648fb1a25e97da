import { beforeEach, expect, test, vi } from 'vitest'

const python = { id: '1', name: 'Python', price: '19.90', summary: 'not kept' }
const vue = { id: '2', name: 'Vue', price: '99.00' }

/** The module as a newly opened page has it. */
async function page() {
  vi.resetModules()
  return import('@/cart')
}

beforeEach(() => localStorage.clear())

test('a course is in the cart once, at the price that was shown, and survives a reload', async () => {
  const { addToCart } = await page()
  addToCart(python)
  addToCart(python)
  addToCart(vue)
  const { cart, cartTotal } = await page()
  expect(cart.value).toEqual([{ id: '1', name: 'Python', price: '19.90' }, vue])
  expect(cartTotal.value).toBe('118.90')
})

test('a full cart takes no more', async () => {
  const { addToCart, cart, MOST_COURSES } = await page()
  for (let id = 1; id <= MOST_COURSES; id++) expect(addToCart({ ...vue, id: String(id) })).toBe(true)
  expect(addToCart({ ...vue, id: 'one more' })).toBe(false)
  expect(cart.value).toHaveLength(50)
})

test('what is removed is gone, and new prices are taken over', async () => {
  const { addToCart, cart, removeFromCart, renewCart } = await page()
  addToCart(python)
  addToCart(vue)
  renewCart([{ ...vue, price: '88.00' }])
  removeFromCart(['1'])
  expect(cart.value).toEqual([{ id: '2', name: 'Vue', price: '88.00' }])
})

test.each([
  '{',
  '"text"',
  '[1]',
  '[{"id":"1","name":"x","price":"NaN"}]',
  '[{"id":1,"name":"x","price":"1.00"}]',
])('a cart that is none of ours is an empty one: %s', async (stored) => {
  localStorage.setItem('coursepay.cart', stored)
  expect((await page()).cart.value).toEqual([])
})

test('another tab changes the cart, and this one shows it', async () => {
  const { cart } = await page()
  localStorage.setItem('coursepay.cart', JSON.stringify([vue]))
  window.dispatchEvent(new StorageEvent('storage', { key: 'coursepay.cart' }))
  expect(cart.value).toEqual([vue])
})
