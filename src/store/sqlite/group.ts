import { toMicroseconds, toSeconds } from '../../event.js'
import type { Scalar } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Aggregate, BinStage, StatsStage } from '../../spl/ast.js'
import type { Partial } from '../../spl/stages/stats.js'
import type { Condition } from './condition.js'
import type { DictionaryReader } from './dictionary.js'
import { columnName } from './partition.js'

/**
 * `bin` and `stats` over the events of the blocks that are not odd. SQL only groups: of a field it collects the different
 * values (dictionary ids where there are), and TypeScript makes dc, values, min and max of them, once for all partitions.
 * Result columns: the BY fields in order, then one per aggregate.
 */
export function groupSql (bin: BinStage | null, { by, aggregates }: StatsStage, condition: Condition): string {
  const time = bin === null ? 'e.time_us' : flooredTime(toMicroseconds(bin.spanSeconds))
  const groups = by.map(field => field === '_time' ? time : `e.${columnName(field)}`)
  const conditions = [
    'b.max_time_us >= @earliestUs AND b.min_time_us < @latestUs AND b.first_id <= @lastId AND b.odd = 0',
    'e.time_us >= @earliestUs AND e.time_us < @latestUs AND e.id <= @lastId',
    '(e.id % 1024 <> 0 OR alive())',
    condition.sql,
    ...groups.map(group => `${group} IS NOT NULL`), // R31
  ]
  return `
    SELECT ${[...groups, ...aggregates.map(aggregate => emitAggregate(aggregate, time))].join(', ')}
    FROM block AS b CROSS JOIN event AS e ON e.id BETWEEN b.first_id AND b.last_id
    WHERE ${conditions.join(' AND ')}
    ${groups.length === 0 ? '' : `GROUP BY ${groups.map((_, i) => i + 1).join(', ')}`}
  `
}

/** A row of that SQL as `spl/` adds it to a group. */
export function toPartials (row: readonly unknown[], { by, aggregates }: StatsStage, dictionary: DictionaryReader): { by: Scalar[], partials: Partial[] } {
  return {
    by: by.map((field, i) => toScalar(field, row[i], dictionary)),
    partials: aggregates.map(({ field }, i) => {
      const cell = row[by.length + i]
      if (field === null) return cell as number
      return (JSON.parse(cell as string) as unknown[]).map(value => toScalar(field, value, dictionary))
    }),
  }
}

function emitAggregate ({ function: name, field }: Aggregate, time: string): string {
  if (field === null) return 'count(*)'
  if (!['dc', 'max', 'min', 'values'].includes(name)) throw new Error(`${name} of a field is not pushed down`)
  // min and max of the times are enough for min and max, and few.
  if (field === '_time' && (name === 'min' || name === 'max')) return `iif(count(*) = 0, '[]', json_array(min(${time}), max(${time})))`
  const value = field === '_time' ? time : `e.${columnName(field)}`
  return `json_group_array(DISTINCT ${value}) FILTER (WHERE ${value} IS NOT NULL)`
}

function toScalar (field: string, cell: unknown, dictionary: DictionaryReader): Scalar {
  if (field === '_time') return toSeconds(cell as number)
  return COLUMNS[field] === 'dictionary' ? dictionary.valueOf(cell as number) : cell as string
}

/** The lower edge of a time's bin, also before 1970: SQL's % keeps the sign, so it is floored by hand. */
function flooredTime (spanUs: number): string {
  if (!Number.isSafeInteger(spanUs) || spanUs <= 0) throw new Error(`a bin of ${spanUs} microseconds`)
  return `(e.time_us - ((e.time_us % ${spanUs}) + ${spanUs}) % ${spanUs})`
}
