import type { Scalar } from '../../event.js'
import { toMicroseconds, toSeconds } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import type { BinStage, StatsStage } from '../../spl/ast.js'
import type { BlockColumns } from './column-block.js'
import type { DictionaryReader } from './dictionary.js'
import type { GroupSet } from './group-table.js'
import { keptFields, openGroupTable } from './group-table.js'
import { openNumbers } from './numbers.js'

/** A field whose values are numbers, the same in all blocks of a partition. 0 is no value. */
interface NumberedField {
  /** Reads a block: gives the number of an event's value, by its place. */
  open (columns: BlockColumns): (event: number) => number
  scalarOf (number: number): Scalar
}

const PUSHED: ReadonlySet<string> = new Set(['dc', 'max', 'min', 'values'])

/**
 * `bin` and `stats` over the columns of one partition's blocks. It collects of each group the different values of a field; dc, values, min and max
 * are made of them by `spl/`, once for all partitions.
 */
export function openGroups (bin: BinStage | null, stage: StatsStage, dictionary: DictionaryReader) {
  const spanUs = bin === null ? 1 : toMicroseconds(bin.spanSeconds)
  if (!Number.isSafeInteger(spanUs) || spanUs <= 0) throw new Error(`a bin of ${spanUs} microseconds`)
  for (const { function: name, field } of stage.aggregates) if (field !== null && !PUSHED.has(name)) throw new Error(`${name} of a field is not pushed down`)
  const numbered = new Map<string, NumberedField>()
  const fieldOf = (name: string): NumberedField => {
    let field = numbered.get(name)
    if (field === undefined) numbered.set(name, field = name === '_time' ? numberedTimes(spanUs) : COLUMNS[name] === 'dictionary' ? dictionaryField(name, dictionary) : numberedTexts(name))
    return field
  }
  const by = stage.by.map(fieldOf)
  const kept = keptFields(stage).map(fieldOf)
  const table = openGroupTable(by.length, kept.length)
  const tuple = new Uint32Array(by.length)

  return {
    /** Adds events of a block, by their places in it. */
    add (columns: BlockColumns, events: readonly number[]): void {
      const readers = by.map(field => field.open(columns))
      const keptReaders = kept.map(field => field.open(columns))
      const edgeOf = openEdges(columns, spanUs)
      for (const event of events) {
        let isWhole = true
        for (let i = 0; i < readers.length; i++) {
          const number = readers[i]!(event)
          if (number === 0) isWhole = false
          tuple[i] = number
        }
        if (!isWhole) continue // without a value of each field an event is in no group (R31)
        const group = table.groupOf(tuple)
        const edgeUs = edgeOf(event)
        table.add(group, 1, edgeUs, edgeUs)
        for (let i = 0; i < keptReaders.length; i++) {
          const number = keptReaders[i]!(event)
          if (number !== 0) table.addValue(i, group, number)
        }
      }
    },

    groups: (): GroupSet => table.toSet([...by, ...kept].map(field => field.scalarOf)),
  }
}

/** The lower edge of the bin that an event's time is in, also before 1970. */
function openEdges ({ timeAt }: BlockColumns, spanUs: number): (event: number) => number {
  return event => {
    const timeUs = timeAt(event)
    const into = timeUs % spanUs
    return timeUs - (into < 0 ? into + spanUs : into)
  }
}

function numberedTimes (spanUs: number): NumberedField {
  const numbers = openNumbers<number>()
  let last = NaN // most events are in the bin of the one before
  let lastNumber = 0
  return {
    open (columns) {
      const edgeOf = openEdges(columns, spanUs)
      return event => {
        const edge = edgeOf(event)
        if (edge !== last) {
          last = edge
          lastNumber = numbers.numberOf(edge)
        }
        return lastNumber
      }
    },
    scalarOf: number => toSeconds(numbers.valueOf(number)),
  }
}

function dictionaryField (name: string, dictionary: DictionaryReader): NumberedField {
  return {
    open (columns) {
      const { idOf, places } = columns.dictionary(name)
      return event => idOf(places[event]!)
    },
    scalarOf: dictionary.valueOf,
  }
}

/** Of a place whose text was not asked for. */
const UNREAD = 0xffff_ffff

function numberedTexts (name: string): NumberedField {
  const numbers = openNumbers<string>()
  let ofPlace = new Uint32Array(256)
  return {
    open (columns) {
      const { texts, places } = columns.text(name)
      if (ofPlace.length < texts.count) ofPlace = new Uint32Array(texts.count * 2)
      ofPlace.fill(UNREAD, 0, texts.count)
      return event => {
        const place = places[event]!
        let number = ofPlace[place]!
        if (number === UNREAD) {
          const text = texts.get(place)
          ofPlace[place] = number = text === null ? 0 : numbers.numberOf(text)
        }
        return number
      }
    },
    scalarOf: numbers.valueOf,
  }
}
