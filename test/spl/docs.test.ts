import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { CONVERT_FUNCTIONS, EVAL_FUNCTIONS, PERCENTILE_FUNCTIONS, STATS_FUNCTIONS } from '../../src/spl/functions.js'
import { COMMANDS } from '../../src/spl/parse.js'
import { OPTIONS } from '../../src/spl/parse-stages.js'
import { UNSUPPORTED_COMMANDS } from '../../src/spl/unsupported.js'
import { TIME_DIRECTIVES } from '../../src/spl/strftime.js'

const docs = readFileSync(fileURLToPath(import.meta.resolve('#root/docs/spl.md')), 'utf8')

/** The text below a heading, up to the next one. */
function section (title: string): string {
  return new RegExp(`^#+ ${title}\n([^]*?)(?=^#|$(?![^]))`, 'm').exec(docs)?.[1] ?? ''
}

/** The names in the first column of a section's table. */
function tableNames (title: string): string[] {
  const cells = section(title).split('\n').filter(line => line.startsWith('| `')).map(line => line.split(' | ')[0]!)
  return cells.flatMap(cell => [...cell.matchAll(/`([a-z_][a-z_\d]*)(?:\(\)?)?`/g)].map(match => match[1]!)).sort()
}

/** `command: option …`, from the table of commands. */
function tableOptions (title: string): string[] {
  return section(title).split('\n').filter(line => line.startsWith('| `')).flatMap(line => {
    const [names = '', takes = ''] = line.split(' | ')
    const options = [...new Set(Array.from(takes.matchAll(/`([a-z_]+)=`/g), match => match[1]!))].sort()
    return [...names.matchAll(/`([a-z]+)`/g)].map(match => `${match[1]}: ${options.join(' ')}`)
  }).sort()
}

/** Other names of a command have its options. */
function optionsOf (name: string): string[] {
  return [...OPTIONS[name === 'bucket' || name === 'discretize' ? 'bin' : name] ?? []].sort()
}

t.test('docs/spl.md lists every command, function, option and directive there is, and no other', async t => {
  t.strictSame(tableNames('Commands'), [...COMMANDS.keys()].sort())
  const refused = section('Commands that are refused').split('\n').filter(line => line.startsWith('| `')).flatMap(line => {
    const [names = '', instead = ''] = line.slice(2, -2).split(' | ')
    return [...names.matchAll(/`(\w+)`/g)].map(match => `${match[1]}: ${instead === '–' ? '' : instead}`)
  })
  t.strictSame(refused.sort(), [...UNSUPPORTED_COMMANDS].map(([name, instead]) => `${name}: ${instead}`).sort())
  t.strictSame(tableNames('Functions of eval and where'), [...EVAL_FUNCTIONS.keys()].sort())
  t.strictSame(tableNames('Functions of stats'), [...STATS_FUNCTIONS.keys(), ...PERCENTILE_FUNCTIONS].sort())
  t.strictSame(tableNames('Functions of convert'), [...CONVERT_FUNCTIONS.keys()].sort())
  t.strictSame([...section('Functions of convert').matchAll(/`(%\d?[^`])`/g)].map(match => match[1]!).sort(), [...TIME_DIRECTIVES.keys()].sort())
  t.strictSame(tableOptions('Commands'), [...COMMANDS.keys()].map(name => `${name}: ${optionsOf(name).join(' ')}`).sort())
})
