import '@/styles/theme.css'
import '@/styles/base.css'
import { DefaultApolloClient } from '@vue/apollo-composable'
import { createApp } from 'vue'
import App from '@/App.vue'
import { shopClient } from '@/apollo/client'
import { i18n, preferredLanguage, showIn } from '@/i18n'
import { router } from '@/router'

await showIn(preferredLanguage())
createApp(App).provide(DefaultApolloClient, shopClient()).use(i18n).use(router).mount('#app')
