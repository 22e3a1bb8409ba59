import { isIP } from 'node:net'
import type { SortKey, SortStage, SortType } from '../ast.js'
import type { Row, Scalar } from '../row.js'
import { compareUtf8, toNumber, toScalars, toText } from '../value.js'
import { holdRows } from './hold.js'

/** R77: the first rows in the order of the keys. Rows that are equal in it stay as they came. */
export function sort (stage: SortStage): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    const sorted = sortRows(rows, stage.keys, 'sort')
    yield * stage.count === 0 ? sorted : sorted.slice(0, stage.count)
  }
}

/** All rows in the order of the keys. Of a key that a row lacks it is last, whatever the direction. */
export function sortRows (rows: Iterable<Row>, keys: readonly SortKey[], command: string): Row[] {
  const held = holdRows(rows, command)
  const columns = keys.map(({ field, type, order }) => {
    const lists = held.map(({ values }) => toScalars(values.get(field)))
    return { sortables: toSortables(lists, type), sign: order === 'asc' ? 1 : -1 }
  })
  const places = held.map((_, place) => place)
  places.sort((a, b) => {
    for (const { sortables, sign } of columns) {
      const order = compareSortables(sortables[a]!, sortables[b]!, sign)
      if (order !== 0) return order
    }
    return a - b
  })
  return places.map(place => held[place]!)
}

/** What a value is ordered by. A list, since a multivalue is ordered by its values one after the other; empty for none. */
type Sortable = readonly (string | number)[]

function compareSortables (a: Sortable, b: Sortable, sign: number): number {
  if (a.length === 0 || b.length === 0) return Number(a.length === 0) - Number(b.length === 0)
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const x = a[i]!
    const y = b[i]!
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : compareUtf8(String(x), String(y))
    if (order !== 0) return sign * order
  }
  return sign * (a.length - b.length)
}

/** auto is numeric where every value is a number, by address where every one is an address, else by text. */
function toSortables (lists: readonly (readonly Scalar[])[], type: SortType): Sortable[] {
  const by = (convert: (value: Scalar) => string | number | null) => lists.map(list => list.map(convert).filter(one => one !== null))
  const holds = (test: (value: Scalar) => boolean) => lists.every(list => list.every(test))
  switch (type) {
    case 'auto': return toSortables(lists, holds(value => toNumber(value) !== null) ? 'num' : holds(value => toAddress(value) !== null) ? 'ip' : 'str')
    case 'num': return by(toNumber)
    case 'str': return by(toText)
    case 'ip': return by(toAddress)
    default: return type satisfies never
  }
}

/** An address as text whose order is that of its bits, IPv4 first; null for what is none. */
function toAddress (value: Scalar): string | null {
  const text = toText(value)
  switch (isIP(text)) {
    case 4: return '4' + toHex(text)
    case 6: {
      const [head = '', tail] = text.replace(/%.*$/s, '').replace(/[\d.]+$/, end => end.includes('.') ? toHex(end).replace(/^.{4}/, '$&:') : end).split('::')
      const before = head.split(':').filter(group => group !== '')
      const after = tail?.split(':').filter(group => group !== '') ?? []
      const zeros = Array<string>(8 - before.length - after.length).fill('0')
      return '6' + [...before, ...zeros, ...after].map(group => group.toLowerCase().padStart(4, '0')).join('')
    }
    default: return null
  }
}

function toHex (address: string): string {
  return address.split('.').map(byte => Number(byte).toString(16).padStart(2, '0')).join('')
}
