import { readonly, ref } from 'vue'

export interface Notice {
  text: string
  tone: 'good' | 'bad' | 'info'
}

const shown = ref<Notice | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined
const SHOWN_MS = 6_000

/** The sentence at the foot of the page, read out by screen readers. */
export const notice = readonly(shown)

export function say(text: string, tone: Notice['tone'] = 'info'): void {
  shown.value = { text, tone }
  clearTimeout(timer)
  timer = setTimeout(hush, SHOWN_MS)
}

export function hush(): void {
  shown.value = null
}
