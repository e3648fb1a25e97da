import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** "cart.total" → its text, for a whole language. */
function flat(messages: object, prefix = ''): Map<string, string> {
  const entries = Object.entries(messages).flatMap(([name, value]: [string, string | object]) =>
    typeof value === 'string' ? [[prefix + name, value] as const] : [...flat(value, `${prefix}${name}.`)],
  )
  return new Map(entries)
}
// Read as they are written: imported, they are compiled.
const read = (language: string) => JSON.parse(readFileSync(`src/i18n/${language}.json`, 'utf8')) as object
const zh = flat(read('zh-CN'))
const en = flat(read('en'))
const holes = (text = '') => [...new Set(text.match(/\{\w+\}/g))].sort()

test('both languages say the same things, with the same holes', () => {
  expect([...zh.keys()].sort()).toEqual([...en.keys()].sort())
  for (const [key, text] of zh) expect([key, holes(en.get(key))]).toEqual([key, holes(text)])
})

test('no message is left that nobody says', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(ts|vue)$/.test(name),
  )
  const source = files.map((name) => readFileSync(`src/${name}`, 'utf8')).join('\n')
  const built = [...source.matchAll(/t\(\s*`([\w.]+\.)\$\{/g)].map((match) => match[1] ?? '')
  const isSaid = (key: string) => source.includes(`'${key}'`) || built.some((start) => key.startsWith(start))
  expect([...zh.keys()].filter((key) => !isSaid(key) && !key.startsWith('event.'))).toEqual([])
})
