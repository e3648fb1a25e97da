import { expect, test as base, type BrowserContext, type Page } from '@playwright/test'
import { Api, type Account } from './api'
import { Shop, type Environment } from './shop'

export { expect }

export interface ShopOptions {
  /** Settings of the worker's shop; `test.use` with others starts another shop. */
  settings: Environment
}

interface World {
  api: Api
  /** A buyer of this test alone, who has bought nothing yet. */
  buyer: Account
  /** The page, with the buyer signed in. */
  shopPage: Page
  /** What the browser may write to its console in this test, and must have written by its end. */
  expectedInConsole: RegExp[]
}

interface Worker extends ShopOptions {
  shop: Shop
  names: Iterator<string>
}

const BUYERS = 30
/** Of guest0, guest1 …, whom every shop has. */
export const PASSWORD = 'e2e-buyer-password'

/** One hash for all of them: it is made to be slow. */
const MAKE_BUYERS = `
from django.contrib.auth.hashers import make_password
from backend.accounts.models import User
password = make_password("${PASSWORD}")
User.objects.bulk_create(User(username=f"guest{n}", password=password) for n in range(${BUYERS}))
`

export const test = base.extend<World, Worker>({
  settings: [{}, { option: true, scope: 'worker' }],
  shop: [
    async ({ settings }, use) => {
      const shop = new Shop(settings)
      try {
        await shop.start()
        shop.manage(MAKE_BUYERS)
        await use(shop)
      } finally {
        await shop.end()
      }
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  names: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads the names of what is wanted here
    async ({}, use) => use(Array.from({ length: BUYERS }, (_, n) => `guest${n}`)[Symbol.iterator]()),
    { scope: 'worker' },
  ],
  baseURL: async ({ shop }, use) => use(shop.url),
  api: async ({ shop }, use) => use(new Api(shop)),
  buyer: async ({ api, names }, use) => {
    const { value: name } = names.next() as { value?: string }
    if (name === undefined) throw new Error('more buyers are wanted than are made')
    await use(await api.signIn(name, PASSWORD))
  },
  shopPage: async ({ shop, context, page, buyer }, use) => {
    await signInAs(context, shop.url, buyer)
    await use(page)
  },
  expectedInConsole: [
    async ({ context }, use) => {
      const expected: RegExp[] = []
      const said = listenTo(context)
      await use(expected)
      expect(said.filter((line) => !expected.some((one) => one.test(line)))).toEqual([])
      expect(expected.filter((one) => !said.some((line) => one.test(line)))).toEqual([])
    },
    { auto: true },
  ],
})

/** Errors and warnings of every tab. */
function listenTo(context: BrowserContext): string[] {
  const said: string[] = []
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      said.push(`${message.text()} ${message.location().url}`)
  })
  context.on('weberror', (error) => said.push(String(error.error().stack)))
  return said
}

/** Every tab that is opened from now on is signed in; one that signs out stays so. */
export async function signInAs(
  context: BrowserContext,
  url: string,
  { token, username }: Account,
): Promise<void> {
  await context.addInitScript(
    ([origin, session]) => {
      if (location.origin !== origin || localStorage.getItem('e2e.signed-in')) return
      localStorage.setItem('e2e.signed-in', 'yes')
      localStorage.setItem('coursepay.session', session)
    },
    [url, JSON.stringify({ token, username })] as const,
  )
}
