import { readFileSync, writeFileSync } from 'node:fs'
import type { Profiler } from 'node:inspector'
import { join } from 'node:path'
import t from 'tap'
import { toMarkdown, writeSection } from '../bench/docs.js'
import { drawPlot } from '../bench/plot.js'
import { sumByFunction } from '../bench/profile.js'
import { resourcePath } from '../src/resource.js'
import { tempDir } from './fixtures/app.js'
import type { XmlElement } from './fixtures/xml.js'
import { parseXml } from './fixtures/xml.js'

const SOURCE = new URL('../src/', import.meta.url).href

/** A profile of one sample for each stack, outermost call first; calls are `name@url`. */
function profileOf (samples: readonly (readonly [stack: readonly string[], us: number])[]): Profiler.Profile {
  const nodes: (Profiler.ProfileNode & { children: number[] })[] = []
  const add = (call: string): number => {
    const [functionName, url] = call.split('@') as [string, string?]
    return nodes.push({ id: nodes.length + 1, callFrame: { functionName, scriptId: '0', url: url ?? '', lineNumber: 0, columnNumber: 0 }, children: [] })
  }
  add('(root)')
  const leaves = samples.map(([stack]) => stack.reduce((parent, call) => {
    const id = add(call)
    nodes[parent - 1]!.children.push(id)
    return id
  }, 1))
  return { nodes, startTime: 0, endTime: 0, samples: leaves, timeDeltas: samples.map(([, us]) => us) }
}

t.test('a profile gives what is called outside of the sources to the function that calls it, and a commit to itself', async t => {
  const [append, insert] = [`append@${SOURCE}store/sqlite/writer.js`, `insert@${SOURCE}store/sqlite/writer.js`]
  const [parse, encode] = [`parseObject@${SOURCE}envelope/envelope.js`, `encodeBlock@${SOURCE}store/sqlite/block.js`]
  const transaction = 'sqliteTransaction@file:///m/better-sqlite3/lib/methods/transaction.js'

  const functions = sumByFunction(profileOf([
    [[append, parse], 1],
    [[append, parse, 'parse'], 20],
    [[append, encode, 'compressSync@file:///m/lz4-napi/index.js'], 300],
    [[append, transaction, insert, 'run'], 4_000],
    [[append, transaction, 'run'], 50_000],
    [['(garbage collector)'], 600_000],
    [[append], 7_000_000],
    [['post@node:inspector', 'dispatch'], 80_000_000],
  ]))

  t.strictSame(functions, [
    { phase: 'the rest of the writer', name: 'append (store/sqlite/writer)', us: 7_000_000 },
    { phase: 'garbage collection', name: '(garbage collector)', us: 600_000 },
    { phase: 'commit', name: 'BEGIN and COMMIT', us: 50_000 },
    { phase: 'insert', name: 'insert (store/sqlite/writer)', us: 4_000 },
    { phase: 'encode and compress', name: 'encodeBlock (store/sqlite/block)', us: 300 },
    { phase: 'scan and parse', name: 'parseObject (envelope/envelope)', us: 21 },
  ])
})

/** An element with all that are inside. */
function flatten (element: XmlElement): XmlElement[] {
  return [element, ...element.children.flatMap(flatten)]
}

t.test('a plot is one document with a line for each panel, broken where a value is missing, and nothing beyond its edges', async t => {
  const svg = drawPlot({
    title: 'a < b & c',
    subtitle: '2 cores',
    seconds: [1, 2, 3, 4, 600],
    panels: [
      { title: 'events a second', color: '#1f6fb2', values: [0, 20_000, null, 19_000, 12_345] },
      { title: 'memory, MB', color: '#b3541e', values: [1, 2, 3, 4, 5], goal: { value: 300, name: 'goal' } },
      { title: 'nothing', color: '#3a7d44', values: [0, 0, 0, 0, 0] },
    ],
  })

  const root = parseXml(svg)
  const elements = flatten(root)
  const paths = elements.filter(({ name }) => name === 'path').map(({ attributes }) => attributes.d!)
  t.equal(elements.find(({ name }) => name === 'title')?.text, 'a < b & c')
  t.strictSame(paths.map(path => path.replace(/[\d. ]+/g, '')), ['MLML', 'MLLLL', 'MLLLL'])
  const [width, height] = ['width', 'height'].map(name => Number(root.attributes[name])) as [number, number]
  for (const { name, attributes, text } of elements) {
    for (const x of ['x', 'x1', 'x2'].flatMap(key => attributes[key] ?? [])) t.ok(Number(x) >= 0 && Number(x) <= width, `${name} ${text} at x ${x}`)
    for (const y of ['y', 'y1', 'y2'].flatMap(key => attributes[key] ?? [])) t.ok(Number(y) >= 0 && Number(y) <= height, `${name} ${text} at y ${y}`)
  }
  const texts = elements.filter(({ name }) => name === 'text').map(({ text }) => text)
  t.ok(['20,000', 'goal', '300', 'time, minutes', '10'].every(one => texts.includes(one)), texts.join(' '))
})

t.test('a section of the docs is written between its marks, and the rest stays', async t => {
  const path = join(tempDir(t), 'page.md')
  writeFileSync(path, '# Page\n\n<!-- a -->\nold\n<!-- /a -->\n\n<!-- b -->\n<!-- /b -->\n')

  writeSection(path, 'a', toMarkdown({ headings: ['what', 'figure'], rows: [['x | y', '1'], ['  part', '2']] }))
  writeSection(path, 'b', 'new')

  t.equal(readFileSync(path, 'utf8'), '# Page\n\n<!-- a -->\n| what | figure |\n| --- | --- |\n| x \\| y | 1 |\n| &emsp;part | 2 |\n<!-- /a -->\n\n<!-- b -->\nnew\n<!-- /b -->\n')
  t.throws(() => writeSection(path, 'c', ''), { message: `${path} has no section c` })
})

t.test('docs/performance.md has every section that the bench writes, and every goal', async t => {
  const text = readFileSync(resourcePath('docs/performance.md'), 'utf8')

  for (const name of ['goals', 'soak', 'profile']) t.match(text, new RegExp(`<!-- ${name} -->\\n[^]*<!-- /${name} -->`))
  t.strictSame([...text.matchAll(/^\| (P.*?) \|/gm)].flatMap(([, names]) => names!.split(', ')), Array.from({ length: 11 }, (_, i) => `P${i + 1}`))
})
