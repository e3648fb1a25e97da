/// <reference types="vitest/config" />
import { fileURLToPath, URL } from 'node:url'
import VueI18n from '@intlify/unplugin-vue-i18n/vite'
import vue from '@vitejs/plugin-vue'
import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig, type ProxyOptions } from 'vite'

const backend = process.env.BACKEND_URL ?? 'http://127.0.0.1:8000'
const served = ['/graphql', '/payments', '/order', '/admin', '/static', '/healthz']

/** The backend's paths. Exact up to a slash or the end: `/orders` is a page of ours, `/order/success/` is not. */
const proxy: Record<string, ProxyOptions> = Object.fromEntries(
  served.map((path) => [`^${path}(?=[/?]|$)`, { target: backend, changeOrigin: true }]),
)

/** What the backend should send with the page; `vite preview` sends it too, so that a breach shows before release. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export default defineConfig({
  plugins: [
    vue(),
    Components({ dirs: [], resolvers: [ElementPlusResolver()], dts: 'components.d.ts' }),
    // Messages are compiled by the build: the browser needs no compiler, and the policy no exception.
    VueI18n({
      include: fileURLToPath(new URL('./src/i18n/*.json', import.meta.url)),
      runtimeOnly: true,
      dropMessageCompiler: true,
    }),
  ],
  resolve: {
    alias: {
      '@': fileURLToPath(new URL('./src', import.meta.url)),
      // vue-demi hands on all of Vue as one object, for Vue 2's sake: nothing of it could be left out of the build.
      'vue-demi': 'vue',
      '@ctrl/tinycolor': fileURLToPath(new URL('./src/no-tinycolor.ts', import.meta.url)),
    },
  },
  define: {
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    'globalThis.__DEV__': 'false', // Apollo's checks for developers
  },
  build: { target: 'es2022', manifest: true, assetsInlineLimit: 0 },
  server: { port: 5173, proxy },
  preview: { port: 4173, proxy, headers: { 'Content-Security-Policy': policy } },
  test: {
    environment: 'happy-dom',
    include: ['tests/**/*.spec.ts'],
    restoreMocks: true,
    server: { deps: { inline: ['element-plus'] } },
  },
})
