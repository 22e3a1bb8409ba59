import type { Value } from '../event.js'
import { escapeControls } from '../spl/errors.js'
import { toScalars, toText } from '../spl/value.js'
import type { Comparison, Difference } from './comparison.js'
import { formatTable } from './table.js'

const RESULT = { different: 'different', only_there: 'only there', only_here: 'only here' } as const

/** A comparison for a terminal: how many rows there are of each result, what was compared, then a table of those that are not the same. */
export function formatComparison ({ detection, earliest, latest, slots, counts, repeated, key, columns, differences }: Comparison): string {
  const named = (what: string, names: readonly string[]) => names.length === 0 ? [] : [`${what}: ${names.map(escapeControls).join(' ')}`]
  return `${[
    `${detection} from ${earliest} to ${latest}, ${slots === 1 ? '1 slot' : `${slots} slots`}`,
    `${counts.same} same, ${counts.different} different, ${counts.only_there} only there, ${counts.only_here} only here`,
    ...named('compared', columns.compared),
    ...named('matched by', key),
    ...named('columns only there', columns.only_there),
    ...named('columns only here', columns.only_here),
    ...repeated.there + repeated.here > 0 ? [`equal rows that count once: ${repeated.there} more there, ${repeated.here} more here`] : [],
    ...differences.length > 0 ? ['', formatTable(['result', 'reason', 'row', 'what is seen'], differences.map(toCells))] : [],
  ].join('\n')}\n`
}

function toCells ({ result, reason, detail, key, fields }: Difference): string[] {
  const row = Object.entries(key).map(([column, value]) => `${column}=${formatValue(value)}`)
  const values = fields.map(({ field, there, here }) => `${field}: there ${formatValue(there)}, here ${formatValue(here)}`)
  return [RESULT[result], reason.replaceAll('_', ' '), row.join('\n'), [...values, detail].join('\n')]
}

/** On one line, whatever lines it has. */
function formatValue (value: Value | null): string {
  if (value === null) return 'none'
  return toScalars(value).map(scalar => toText(scalar).replaceAll('\n', '\u21b5')).join(', ')
}
