/** How a course's cover looks: made from its id and name, so that no picture has to be kept or fetched. */
export interface Cover {
  /** Two CSS colours, dark enough for white text. */
  from: string
  to: string
  /** Which of the patterns, from 0. */
  pattern: number
  /** "Python 编程·入门" is the title "Python 编程" of the level "入门"; other names have no level. */
  title: string
  level: string
}

const COLOURS = [
  ['#2545d9', '#12236e'],
  ['#0b6e5c', '#073b3a'],
  ['#8a2a6b', '#3d1140'],
  ['#a8420c', '#541a10'],
  ['#0a6190', '#0a2f52'],
  ['#5b3cc4', '#2a1a66'],
  ['#9c2540', '#470f24'],
  ['#3f6212', '#1d3410'],
  ['#1f5f8b', '#1b2a4a'],
  ['#7a4a12', '#3a2410'],
] as const

export const PATTERNS = 5

export function coverOf(id: string, name: string): Cover {
  const [title = name, level = ''] = name.split('·')
  const [from, to] = COLOURS[hash(title) % COLOURS.length] ?? COLOURS[0]
  return { from, to, title, level, pattern: hash(id) % PATTERNS }
}

/** FNV-1a: small, and spreads neighbouring ids. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const letter of text) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return value
}
