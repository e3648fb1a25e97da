import { createRouter, createWebHistory, type RouteLocationNormalized } from 'vue-router'
import CoursePage from '@/pages/CoursePage.vue'
import CoursesPage from '@/pages/CoursesPage.vue'
import { session } from '@/session'

declare module 'vue-router' {
  interface RouteMeta {
    /** The key of its title in the messages. */
    title: string
    /** For signed-in shoppers only. */
    isPrivate?: boolean
  }
}

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  // The two pages that shoppers come to are in the first load: half the requests, and nothing fetched after the script.
  routes: [
    {
      path: '/',
      name: 'courses',
      component: CoursesPage,
      meta: { title: 'courses.title' },
    },
    {
      path: '/courses/:id',
      name: 'course',
      component: CoursePage,
      props: true,
      meta: { title: 'course.about' },
    },
    {
      path: '/cart',
      name: 'cart',
      component: () => import('@/pages/CartPage.vue'),
      meta: { title: 'cart.title' },
    },
    {
      path: '/sign-in',
      name: 'sign-in',
      component: () => import('@/pages/SignInPage.vue'),
      meta: { title: 'signIn.title' },
    },
    {
      path: '/cashier/:id',
      name: 'cashier',
      component: () => import('@/pages/CashierPage.vue'),
      props: true,
      meta: { title: 'cashier.title', isPrivate: true },
    },
    {
      path: '/pay/success',
      name: 'result',
      component: () => import('@/pages/ResultPage.vue'),
      meta: { title: 'result.title' },
    },
    {
      path: '/orders',
      name: 'orders',
      component: () => import('@/pages/OrdersPage.vue'),
      meta: { title: 'orders.title', isPrivate: true },
    },
    {
      path: '/orders/:id',
      name: 'order',
      component: () => import('@/pages/OrderPage.vue'),
      props: true,
      meta: { title: 'order.title', isPrivate: true },
    },
    {
      path: '/my-courses',
      name: 'my-courses',
      component: () => import('@/pages/MyCoursesPage.vue'),
      meta: { title: 'mine.title', isPrivate: true },
    },
    {
      path: '/:path(.*)*',
      name: 'missing',
      component: () => import('@/pages/NotFoundPage.vue'),
      meta: { title: 'missing.title' },
    },
  ],
})

/** The way to the sign-in page, and back here after it. */
export function signInThenBackTo(place: RouteLocationNormalized) {
  return { name: 'sign-in', query: { next: place.fullPath } }
}

router.beforeEach((to) => (to.meta.isPrivate && !session.value ? signInThenBackTo(to) : true))
