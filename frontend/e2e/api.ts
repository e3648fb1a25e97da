import type { Shop } from './shop'

/** What other people and other machines do meanwhile: by the API of the shop, and of the simulator. */
export interface Account {
  username: string
  password: string
  token: string
}

export interface Course {
  id: string
  name: string
  price: string
}

export interface Order {
  id: string
  number: string
  status: string
  totalAmount: string
  outTradeNo: string | null
  payUrl: string | null
}

const ORDER = 'id number status totalAmount outTradeNo payUrl'

export class Api {
  constructor(private readonly shop: Shop) {}

  async graphql<Data>(query: string, variables: object = {}, token = ''): Promise<Data> {
    const response = await fetch(`${this.shop.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: JSON.stringify({ query, variables }),
    })
    const answer = (await response.json()) as { data?: Data; errors?: unknown }
    if (!answer.data || answer.errors) throw new Error(JSON.stringify(answer))
    return answer.data
  }

  async signIn(username: string, password: string): Promise<Account> {
    const query = 'mutation ($input: LoginInput!) { login(input: $input) { ... on LoginSuccess { token } } }'
    const { login } = await this.graphql<{ login: { token?: string } }>(query, {
      input: { username, password },
    })
    if (!login.token) throw new Error(`${username} could not sign in`)
    return { username, password, token: login.token }
  }

  async course(name: string): Promise<Course> {
    const query =
      'query ($name: String!) { courses(first: 1, search: $name) { edges { node { id name price } } } }'
    const { courses } = await this.graphql<{ courses: { edges: { node: Course }[] } }>(query, { name })
    const course = courses.edges[0]?.node
    if (!course) throw new Error(`no course ${name}`)
    return course
  }

  /** A new order, as another tab or another app makes it. */
  async order(buyer: Account, ...courses: Course[]): Promise<Order> {
    const query = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
      ... on CreateOrderSuccess { order { ${ORDER} } } ... on UserError { code } } }`
    const fen = courses.reduce((sum, { price }) => sum + Math.round(Number(price) * 100), 0)
    const input = { courseIds: courses.map(({ id }) => id), totalAmount: (fen / 100).toFixed(2) }
    const { createOrder } = await this.graphql<{ createOrder: { order?: Order; code?: string } }>(
      query,
      { input },
      buyer.token,
    )
    if (!createOrder.order) throw new Error(`no order: ${createOrder.code ?? ''}`)
    return createOrder.order
  }

  /** Newest first. */
  async orders(buyer: Account): Promise<Order[]> {
    const query = `{ orders(first: 20) { edges { node { ${ORDER} } } } }`
    const { orders } = await this.graphql<{ orders: { edges: { node: Order }[] } }>(query, {}, buyer.token)
    return orders.edges.map((edge) => edge.node)
  }

  async paidOrder(buyer: Account, ...courses: Course[]): Promise<Order> {
    const order = await this.order(buyer, ...courses)
    await this.pay(order)
    for (;;) {
      const [now] = await this.orders(buyer)
      if (now?.status === 'PAID') return now
    }
  }

  /** In Alipay's app, say: Alipay has the money, and no browser returns. */
  async pay(order: Order): Promise<void> {
    const opened = await fetch(order.payUrl ?? '', { redirect: 'manual' })
    const payOrderId = opened.headers.get('location')?.split('payOrderId=')[1] ?? ''
    await this.act('/cashier/scan', { payOrderId })
    await this.act('/cashier/pay', { payOrderId, outcome: 'stay' })
  }

  private async act(path: string, fields: Record<string, string>): Promise<void> {
    const response = await fetch(this.shop.simulator + path, {
      method: 'POST',
      body: new URLSearchParams(fields),
      redirect: 'manual',
    })
    if (response.status >= 400) throw new Error(`${path}: ${response.status}`)
  }

  /** Something goes wrong at Alipay, as alipay_simulator/README.md lists it. */
  async fault(target: string, kind: string, times = 1): Promise<void> {
    const response = await fetch(`${this.shop.simulator}/api/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ target, kind, times }),
    })
    if (!response.ok) throw new Error(await response.text())
  }

  async clearFaults(): Promise<void> {
    await fetch(`${this.shop.simulator}/api/faults`, { method: 'DELETE' })
  }
}
