import type { Scalar, Value, Window } from '../../event.js'
import { compilePredicate } from '../../spl/stages/search.js'
import type { ArrivalQuery, ArrivalResult, Lack, Source } from '../events.js'
import { MAX_SOURCES } from '../events.js'
import type { Block, Scope } from './blocks.js'
import { joinWindows, placesInScope, toPosition } from './blocks.js'
import type { BlockColumns } from './column-block.js'
import { keptColumn } from './column-block.js'
import { toCondition } from './condition.js'
import type { PartitionReader } from './partition-reader.js'
import { isEven } from './partition-reader.js'
import { columnReader, decodeEvents, hasColumn, rememberFields } from './rows.js'
import { SOURCE_FIELDS, toSource } from './source-counts.js'

const NO_TIME: Window = { earliestUs: Infinity, latestUs: -Infinity }
const EVERY_TIME: Window = { earliestUs: -Infinity, latestUs: Infinity }

/** The event time that some of the queries ask for. Borders that don't ascend are a defect of whoever asks. */
export function arrivalWindow (queries: readonly ArrivalQuery[]): Window {
  for (const { bordersUs } of queries) {
    if (bordersUs.some((border, i) => i > 0 && !(border > bordersUs[i - 1]!))) throw new Error('the borders of stretches do not ascend')
  }
  return joinWindows(queries.map(windowOf))
}

function windowOf ({ bordersUs, fields }: ArrivalQuery): Window {
  if (fields.length > 0) return EVERY_TIME
  return bordersUs.length < 2 ? NO_TIME : { earliestUs: bordersUs[0]!, latestUs: bordersUs.at(-1)! }
}

/** Counts for each query the events of blocks that are added. A block is read once for all of them, and not where it lies outside of their time. */
export function openArrivals ({ queries, ...scope }: Scope & { readonly queries: readonly ArrivalQuery[] }) {
  const tallies = queries.map(openTally)

  /** Events whose columns don't say all that a tally asks for. */
  function addDecoded (reader: PartitionReader, block: Block, columns: BlockColumns, asking: ReadonlyMap<number, readonly Tally[]>): void {
    for (const { event, place } of decodeEvents(reader, block, columns, asking.keys())) {
      const get = rememberFields(event, reader.fields)
      for (const tally of asking.get(place)!) {
        if (!tally.matches(get)) continue
        tally.add(block.first_id + place, event.timeUs)
        for (const field of tally.fields) if (get(field) === undefined) tally.addLack(field, toSource(namesOf(get)))
      }
    }
  }

  return {
    add (reader: PartitionReader, block: Block): void {
      const asked = tallies.filter(({ window: { earliestUs, latestUs } }) => block.max_time_us >= earliestUs && block.min_time_us < latestUs)
      if (asked.length === 0) return
      const columns = reader.columnsOf(block)
      const hasColumns = isEven(reader, block)
      const undecided = new Map<number, Tally[]>()
      for (const tally of asked) {
        const marks = hasColumns ? tally.condition.mark(columns, reader.dictionary) : 'all'
        const places = placesInScope(block, columns, { ...scope, window: tally.window }, marks)
        if (hasColumns && tally.isNarrow) addColumns(tally, block, { columns, reader, places })
        else for (const place of hasColumns && tally.wantsLacks ? withLack(tally.fields, columns, places) : places) undecided.set(place, [...undecided.get(place) ?? [], tally])
      }
      if (undecided.size > 0) addDecoded(reader, block, columns, undecided)
    },
    results: (): ArrivalResult[] => tallies.map(({ result }) => result()),
  }
}

function addColumns (tally: Tally, block: Block, { columns, reader, places }: { readonly columns: BlockColumns, readonly reader: PartitionReader, readonly places: readonly number[] }): void {
  if (places.length === 0) return
  const times = columns.times()
  for (const place of places) tally.add(block.first_id + place, times[place]!)
  let sourceAt: ReturnType<typeof sourceReader> | null = null
  for (const field of tally.fields) {
    const isLack = lackReader(field, columns)
    for (const place of places) {
      if (!isLack(place)) continue
      sourceAt ??= sourceReader(columns, reader)
      tally.addLack(field, sourceAt(place))
    }
  }
}

/** Those that may lack one of the fields. Others need not be decoded where it is of no use whether they meet the condition. */
function withLack (fields: readonly string[], columns: BlockColumns, places: readonly number[]): readonly number[] {
  const readers = fields.map(field => lackReader(field, columns))
  return places.filter(place => readers.some(isLack => isLack(place)))
}

/** Gives the source of a block's events. */
function sourceReader (columns: BlockColumns, reader: PartitionReader): (event: number) => Source | null {
  const read = SOURCE_FIELDS.map(field => columnReader(field, columns, reader))
  return event => toSource([read[0]!(event), read[1]!(event), read[2]!(event), read[3]!(event)])
}

/** As the columns of an event hold them: many values are none. */
function namesOf (get: (field: string) => Value | undefined): Parameters<typeof toSource>[0] {
  const [index, sourcetype, cluster, node] = SOURCE_FIELDS.map(field => {
    const value = get(field)
    return value === undefined || Array.isArray(value) ? null : value as Scalar
  })
  return [index!, sourcetype!, cluster!, node!]
}

/** Says of a block's events whether they have no value of a field. */
function lackReader (field: string, columns: BlockColumns): (event: number) => boolean {
  if (field === '_time') return () => false
  const { distinct, places, keep } = keptColumn(columns, field)
  const isLack = Array.from({ length: distinct }, (_, place) => keep(place) === null)
  return event => isLack[places[event]!]!
}

type Tally = ReturnType<typeof openTally>

/** What was found for a query so far. */
function openTally (query: ArrivalQuery) {
  const { predicate, bordersUs, fields } = query
  const condition = toCondition(predicate)
  const stretches = new Map<number, { events: number, lastId: number }>()
  const lacking = new Map(fields.map(field => [field, new Map<string, { readonly source: Source | null, events: number }>()]))

  /** An event that meets the condition, without a value of a field. */
  function addLack (field: string, source: Source | null): void {
    const bySource = lacking.get(field)!
    const key = JSON.stringify(source)
    const known = bySource.get(key)
    if (known !== undefined) known.events++
    else if (source !== null && bySource.size >= MAX_SOURCES) addLack(field, null)
    else bySource.set(key, { source, events: 1 })
  }

  return {
    window: windowOf(query),
    condition,
    /** Whether columns say all that it asks for. */
    isNarrow: condition.exact && fields.every(hasColumn),
    /** Whether it asks for nothing but what events lack, and columns say which may. */
    wantsLacks: bordersUs.length < 2 && fields.length > 0 && fields.every(hasColumn),
    fields: [...lacking.keys()],
    matches: compilePredicate(predicate),
    /** An event that meets the condition. */
    add (id: number, timeUs: number): void {
      const stretch = stretchOf(timeUs, bordersUs)
      if (stretch === null) return
      const found = stretches.get(stretch)
      if (found === undefined) stretches.set(stretch, { events: 1, lastId: id })
      else {
        found.events++
        found.lastId = Math.max(found.lastId, id)
      }
    },
    addLack,
    result: (): ArrivalResult => ({
      arrivals: [...stretches].sort(([a], [b]) => a - b).map(([stretch, { events, lastId }]) => ({ stretch, events, last: toPosition(lastId) })),
      lacking: [...lacking].flatMap(([field, bySource]) => [...bySource].sort(([a], [b]) => a < b ? -1 : 1).map(([, lack]): Lack => ({ field, ...lack }))),
    }),
  }
}

/** The stretch that a time lies in; null where that is none. */
function stretchOf (timeUs: number, bordersUs: readonly number[]): number | null {
  let low = -1 // it begins no later
  let high = bordersUs.length // it begins later
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (bordersUs[middle]! <= timeUs) low = middle
    else high = middle
  }
  return low === -1 || high === bordersUs.length ? null : low
}
