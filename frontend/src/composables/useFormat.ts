import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

/** Times in the shopper's language and zone; spans as people read them. */
export function useFormat() {
  const { locale } = useI18n()
  const exact = computed(
    () => new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium', timeStyle: 'medium' }),
  )
  return {
    /** "2026年11月22日 23:45:10"; a dash where there is no time. */
    time: (iso: string | null | undefined) => (iso ? exact.value.format(new Date(iso)) : '—'),
    /** 1799 → "29:59"; 3661 → "1:01:01". */
    span: (seconds: number) => {
      const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
      const two = (n: number) => String(n).padStart(2, '0')
      return h ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`
    },
  }
}
