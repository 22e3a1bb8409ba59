import { readFileSync } from 'node:fs'
import t from 'tap'
import { CONFIG_KEYS, SOURCETYPE_FIELDS_KEYS, TOKEN_KEYS } from '../src/config.js'
import { HEC_REPLY } from '../src/hec/reply.js'
import { resourcePath } from '../src/resource.js'

const read = (path: string) => readFileSync(resourcePath(path), 'utf8')

/** First cells of a Markdown table's rows, for the table that follows `after`. */
function firstCells (text: string, after: string): string[] {
  const table = text.slice(text.indexOf(after)).split('\n\n').find(block => block.startsWith('|'))!
  return table.split('\n').slice(2).map(row => row.split('|')[1]!.trim().replaceAll('`', ''))
}

t.test('docs/config.md has every key of the configuration, and no other', async t => {
  const text = read('docs/config.md')

  t.strictSame(firstCells(text, '# Configuration').sort(), [...CONFIG_KEYS].sort())
  t.strictSame(firstCells(text, 'A token of').sort(), [...TOKEN_KEYS].sort())
  t.strictSame(firstCells(text, 'A sourcetype of').sort(), [...SOURCETYPE_FIELDS_KEYS].sort())
})

t.test('docs/hec.md has every reply of HEC with its status and text', async t => {
  const rows = read('docs/hec.md').split('\n').filter(line => /^\| \d+ \|/.test(line))

  t.strictSame(rows.map(row => row.split('|').slice(1, 4).map(cell => cell.trim())), Object.entries(HEC_REPLY).map(([code, { status, text }]) => [code, String(status), text]))
})
