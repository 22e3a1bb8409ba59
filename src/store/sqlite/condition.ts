import type { Predicate } from '../../spl/ast.js'
import { MAX_PUSHED_TESTS } from '../../spl/plan.js'
import type { FieldTest } from '../../spl/stages/search.js'
import { compileTest, countTests, requiredTexts } from '../../spl/stages/search.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Scalar } from '../../event.js'
import { toSeconds } from '../../event.js'
import type { BlockColumns, Places } from './column-block.js'
import type { DictionaryReader } from './dictionary.js'
import { compileNeedles } from './needles.js'

/** For each event of a block 1 where a condition holds, else 0; one word where it is the same for all. */
export type Marks = 'all' | 'none' | Uint8Array

/** Says of a block's events whether the predicate holds, by their columns. */
export type MarkBlock = (columns: BlockColumns, dictionary: DictionaryReader) => Marks

/** A condition that holds for every event that the predicate holds for, over events whose columns hold all their fields. */
export interface Condition {
  readonly mark: MarkBlock
  /** Whether it holds for no other event; if not, the events it holds for must be read. */
  readonly exact: boolean
}

/** Columns say what their fields say, so each different value is tested once for a block, of a dictionary once for a search. */
export function toCondition (predicate: Predicate): Condition {
  const terms = predicate.kind === 'and' ? predicate.terms : [predicate]
  const parts = terms.map(term => countTests(term) > MAX_PUSHED_TESTS ? null : compileMarks(term))
  const said = parts.filter(part => part !== null)
  return { mark: markEach(said, 'and'), exact: said.length === parts.length }
}

/** Null where a field of it has no column. */
function compileMarks (predicate: Predicate): MarkBlock | null {
  switch (predicate.kind) {
    case 'all': return () => 'all'
    case 'and': case 'or': {
      const parts = predicate.terms.map(compileMarks)
      return parts.every(part => part !== null) ? markEach(parts, predicate.kind) : null
    }
    case 'not': {
      const part = compileMarks(predicate.term)
      return part === null ? null : (columns, dictionary) => invert(part(columns, dictionary))
    }
    case 'compare': case 'in': case 'is': return compileField(predicate)
    case 'raw': case 'rows': case 'subsearch': return null
    default: return predicate satisfies never
  }
}

/** No test is true of a missing field, so that NOT keeps events without it (R8). */
function compileField (test: FieldTest): MarkBlock | null {
  const { field } = test
  const matches = compileTest(test)
  if (field === '_time') return columns => Uint8Array.from(columns.times(), timeUs => matches(toSeconds(timeUs)) ? 1 : 0)
  if (!Object.hasOwn(COLUMNS, field)) return null
  return COLUMNS[field] === 'dictionary' ? markDictionary(field, matches) : markText(field, matches, requiredTexts(test))
}

function markDictionary (field: string, matches: (value: Scalar) => boolean): MarkBlock {
  const known = new WeakMap<DictionaryReader, (id: number) => number>() // ids are a partition's own
  const openPlaces = reusePlaces()
  return (columns, dictionary) => {
    let resultOf = known.get(dictionary)
    if (resultOf === undefined) known.set(dictionary, resultOf = openResults(id => matches(dictionary.valueOf(id))))
    const { distinct, idOf, places } = columns.dictionary(field)
    const ofPlace = openPlaces(distinct)
    for (let place = 0; place < distinct; place++) ofPlace[place] = resultOf(idOf(place))
    return spread(ofPlace, distinct, places)
  }
}

/** Gives memory for a mark of each place, the same for each block: memory outside of V8's heap costs more than what is done with it. */
function reusePlaces (): (distinct: number) => Uint8Array {
  let ofPlace = new Uint8Array(256)
  return distinct => {
    if (distinct > ofPlace.length) ofPlace = new Uint8Array(2 * distinct)
    return ofPlace
  }
}

/** Entries whose result is kept: a byte each. */
const MAX_KNOWN = 1 << 20

const UNKNOWN = 2

/** What a test says of dictionary entries, each looked at once. No value passes no test. */
function openResults (test: (id: number) => boolean): (id: number) => number {
  let results = new Uint8Array(1024).fill(UNKNOWN)
  results[0] = 0
  return id => {
    if (id >= MAX_KNOWN) return test(id) ? 1 : 0
    if (id >= results.length) {
      const longer = new Uint8Array(Math.min(MAX_KNOWN, 2 ** Math.ceil(Math.log2(id + 1)))).fill(UNKNOWN)
      longer.set(results)
      results = longer
    }
    let result = results[id]!
    if (result === UNKNOWN) results[id] = result = test(id) ? 1 : 0
    return result
  }
}

function markText (field: string, matches: (value: Scalar) => boolean, required: readonly string[] | null): MarkBlock {
  const needles = required === null ? null : compileNeedles(required)
  const openPlaces = reusePlaces()
  return columns => {
    const { texts, places } = columns.text(field)
    const ofPlace = openPlaces(texts.count).fill(0, 0, texts.count)
    const candidates = needles === null ? allPlaces(texts.count) : texts.holding(needles)
    for (const place of candidates) {
      const text = texts.get(place)
      if (text !== null && matches(text)) ofPlace[place] = 1
    }
    return spread(ofPlace, texts.count, places)
  }
}

function * allPlaces (count: number): Generator<number> {
  for (let place = 0; place < count; place++) yield place
}

/** What holds of each different value, as marks of the events. */
function spread (ofPlace: Uint8Array, distinct: number, places: Places): Marks {
  let passing = 0
  for (let place = 0; place < distinct; place++) passing += ofPlace[place]!
  if (passing === 0) return 'none'
  if (passing === distinct) return 'all'
  const marks = new Uint8Array(places.length)
  for (let i = 0; i < places.length; i++) marks[i] = ofPlace[places[i]!]!
  return marks
}

function markEach (parts: readonly MarkBlock[], operator: 'and' | 'or'): MarkBlock {
  const final = operator === 'and' ? 'none' : 'all'
  return (columns, dictionary) => {
    const marks: Marks[] = []
    for (const part of parts) {
      const more = part(columns, dictionary)
      if (more === final) return final // what stands behind it changes nothing
      marks.push(more)
    }
    return joinMarks(marks, operator)
  }
}

/** What all of the marks say together, or any of them. */
export function joinMarks (all: readonly Marks[], operator: 'and' | 'or'): Marks {
  const [neutral, final] = operator === 'and' ? ['all', 'none'] as const : ['none', 'all'] as const
  let joined: Marks = neutral
  for (const marks of all) {
    if (marks === final) return final
    if (marks === neutral) continue
    joined = typeof joined === 'string' ? marks : combine(joined, marks as Uint8Array, operator)
  }
  return joined
}

function combine (a: Uint8Array, b: Uint8Array, operator: 'and' | 'or'): Uint8Array {
  return operator === 'and' ? a.map((mark, i) => mark & b[i]!) : a.map((mark, i) => mark | b[i]!)
}

function invert (marks: Marks): Marks {
  if (typeof marks !== 'string') return marks.map(mark => 1 - mark)
  return marks === 'all' ? 'none' : 'all'
}
