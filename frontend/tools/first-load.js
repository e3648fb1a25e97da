/**
 * What a browser must load before a page is there, gzipped, from the build's own manifest. Fails when the pages that a
 * shopper sees first are over the limit.
 *
 *   npm run size        after npm run build
 */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 150
const FIRST = ['Courses', 'Course']
const PAGES = ['Courses', 'Course', 'Cart', 'Cashier', 'Result', 'Orders', 'Order']
const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'))

/** The files of a chunk and of all that it imports at once. */
function filesOf(name, seen = new Set()) {
  const chunk = manifest[name]
  if (!chunk || seen.has(chunk.file)) return seen
  seen.add(chunk.file)
  for (const style of chunk.css ?? []) seen.add(style)
  for (const imported of chunk.imports ?? []) filesOf(imported, seen)
  return seen
}

function kilobytes(files) {
  const bytes = [...files].map((file) => gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length)
  return bytes.reduce((sum, each) => sum + each, 0) / 1000
}

let isOver = false
for (const language of ['zh-CN', 'en']) {
  for (const page of PAGES) {
    const files = filesOf('index.html')
    filesOf(`src/pages/${page}Page.vue`, files)
    filesOf(`src/i18n/${language}.json`, files)
    const size = kilobytes(files)
    isOver ||= FIRST.includes(page) && size > LIMIT_KB
    console.log(
      `${language.padEnd(6)} ${page.padEnd(8)} ${size.toFixed(1).padStart(6)} kB gzipped in ${files.size} files`,
    )
    if (process.argv.includes('-v')) for (const f of files) console.log('   ', f, kilobytes([f]).toFixed(1))
  }
}
if (isOver) {
  console.error(`Over ${LIMIT_KB} kB.`)
  process.exit(1)
}
