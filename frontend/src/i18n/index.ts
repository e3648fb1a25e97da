import { createI18n } from 'vue-i18n'
import { keep, recall } from '@/storage'
import type english from './en.json'
import type chinese from './zh-CN.json'

/** Both languages have the same messages, or this is not a type. */
type Messages = typeof chinese & typeof english

export const LANGUAGES = ['zh-CN', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

export const i18n = createI18n<[Messages], Language, false>({
  legacy: false,
  locale: 'zh-CN',
  messages: {} as Record<Language, Messages>, // a language is fetched when it is first wanted
})

const LOADERS: Record<Language, () => Promise<{ default: Messages }>> = {
  'zh-CN': () => import('./zh-CN.json'),
  en: () => import('./en.json'),
}

/** Show the shop in a language, from now on. */
export async function showIn(language: Language): Promise<void> {
  const messages = await LOADERS[language]()
  i18n.global.setLocaleMessage(language, messages.default)
  i18n.global.locale.value = language
  document.documentElement.lang = language
}

/** As `showIn`, because the shopper said so: remembered. */
export async function chooseLanguage(language: Language): Promise<void> {
  keep('localStorage', 'language', language)
  await showIn(language)
}

/** What the shopper chose, else what the browser asks for first of the two, else Chinese. */
export function preferredLanguage(): Language {
  const asked = navigator.languages.find((tag) => /^(zh|en)\b/i.test(tag))
  const preferred: Language = asked && !asked.toLowerCase().startsWith('zh') ? 'en' : 'zh-CN'
  return recall('localStorage', 'language', isLanguage) ?? preferred
}

function isLanguage(value: unknown): value is Language {
  return LANGUAGES.includes(value as Language)
}
