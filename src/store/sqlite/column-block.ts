import { isAscii } from 'node:buffer'
import { compressSync, uncompressSync } from 'lz4-napi'
import type { Scalar } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import { COLUMN_FIELDS } from './columns.js'

/** What every event of a block has, in the order of its ids: a value of each column, by its place among the column's different values. */
export interface BlockColumns {
  readonly count: number
  /** Epoch microseconds. */
  times (): Float64Array
  /** Of a field with a dictionary. */
  dictionary (field: string): DictionaryColumn
  /** Of a field whose text stands in the block. */
  text (field: string): TextColumn
}

/** The place of each event's value. */
export type Places = Uint8Array | Uint16Array

export interface DictionaryColumn {
  /** Ids of the different values; 0 is no value. */
  readonly ids: Uint32Array
  readonly places: Places
}

export interface TextColumn {
  readonly texts: BlockTexts
  readonly places: Places
}

/** The different texts of a column in a block. */
export interface BlockTexts {
  readonly count: number
  /** Null is no value. */
  get (place: number): string | null
  /** The places of texts that hold one of the needles, which are ASCII in lower case, in whatever case; all of them where that can't be told fast. */
  holding (needles: readonly string[]): Iterable<number>
}

/** An event before its columns are encoded. */
export interface ColumnRow {
  readonly timeUs: number
  /** In the order of COLUMN_FIELDS. */
  readonly columns: readonly (Scalar | null)[]
}

/**
 * LZ4 over: format (1 byte, this is 1), count (u32), the earliest time (f64), width of times (1 byte, 4 or 8), how much later each time is (u32 each), or,
 * where some are more than 71 minutes later, the times (f64 each), then the columns in the order of COLUMN_FIELDS. A column is: how many different values (u16), the values, and, if they are more
 * than one, each event's place among them (u8 each, u16 where there are more than 256). Values are dictionary ids (u32 each, 0 is none), or the bytes of
 * all texts (u32), the end of each (u32 each, the first bit set where there is no value), the texts in UTF-8. Numbers are little-endian.
 */
const FORMAT = 1
const HEADER_BYTES = 1 + 4 + 8 + 1
const NO_TEXT = 0x8000_0000

/** More different values than places can say: no block has as many events. */
const MAX_COLUMN_EVENTS = 0xffff

/** `idOf` gives the id of a dictionary's value. */
export function encodeColumns (rows: readonly ColumnRow[], idOf: (field: string, value: Scalar) => number): Buffer {
  const { length: count } = rows
  if (count > MAX_COLUMN_EVENTS) throw new Error(`${count} events in a block`)
  const parts: Uint8Array[] = [encodeTimes(rows)]
  COLUMN_FIELDS.forEach((field, column) => {
    const { values, places } = distinctOf(rows.map(row => row.columns[column]!))
    parts.push(Uint8Array.of(values.length & 0xff, values.length >> 8))
    if (COLUMNS[field] === 'dictionary') parts.push(bytesOf(Uint32Array.from(values, value => value === null ? 0 : idOf(field, value))))
    else parts.push(...encodeTexts(values as (string | null)[]))
    if (values.length > 1) parts.push(bytesOf(values.length > 256 ? places : Uint8Array.from(places)))
  })
  return compressSync(Buffer.concat(parts))
}

function encodeTimes (rows: readonly ColumnRow[]): Buffer {
  let first = Infinity
  let last = -Infinity
  for (const { timeUs } of rows) {
    if (timeUs < first) first = timeUs
    if (timeUs > last) last = timeUs
  }
  const times = last - first < 2 ** 32
    ? Uint32Array.from(rows, ({ timeUs }) => timeUs - first)
    : Float64Array.from(rows, ({ timeUs }) => timeUs)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(FORMAT, 0)
  header.writeUInt32LE(rows.length, 1)
  header.writeDoubleLE(rows.length === 0 ? 0 : first, 5)
  header.writeUInt8(times.BYTES_PER_ELEMENT, 13)
  return Buffer.concat([header, bytesOf(times)])
}

function encodeTexts (values: readonly (string | null)[]): Uint8Array[] {
  const bytes = Buffer.from(values.map(value => value ?? '').join(''))
  const ends = new Uint32Array(values.length)
  let end = 0
  values.forEach((value, i) => {
    end += value === null ? 0 : Buffer.byteLength(value)
    ends[i] = value === null ? end + NO_TEXT : end
  })
  return [bytesOf(Uint32Array.of(bytes.length)), bytesOf(ends), bytes]
}

function bytesOf ({ buffer, byteOffset, byteLength }: Uint8Array | Uint16Array | Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Columns are made of their bytes when they are asked for. Throws where the bytes are none of a block. */
export function decodeColumns (data: Buffer): BlockColumns {
  const bytes = uncompressSync(data)
  const format = bytes.readUInt8(0)
  if (format !== FORMAT) throw new Error(`unknown column format ${format}`)
  const count = bytes.readUInt32LE(1)
  const width = bytes.readUInt8(13)
  const offsetOf = openOffsets(bytes, HEADER_BYTES + count * width, count)
  const placesAt = (at: number, distinct: number): Places => {
    if (distinct === 1) return FIRST_PLACES.subarray(0, count)
    return distinct > 256 ? new Uint16Array(copyOf(bytes, at, count * 2)) : bytes.subarray(at, at + count)
  }
  let times: Float64Array | null = null
  return {
    count,
    times () {
      times ??= decodeTimes(bytes, count, width)
      return times
    },
    dictionary (field) {
      const at = offsetOf(field)
      const distinct = bytes.readUInt16LE(at)
      const end = at + 2 + distinct * 4
      return { ids: new Uint32Array(copyOf(bytes, at + 2, distinct * 4)), places: placesAt(end, distinct) }
    },
    text (field) {
      const at = offsetOf(field)
      const distinct = bytes.readUInt16LE(at)
      const size = bytes.readUInt32LE(at + 2)
      const texts = at + 6 + distinct * 4
      const ends = new Uint32Array(copyOf(bytes, at + 6, distinct * 4))
      return { texts: openTexts(bytes.subarray(texts, texts + size), ends), places: placesAt(texts + size, distinct) }
    },
  }
}

/** The places of a column that has one value. */
const FIRST_PLACES = new Uint8Array(MAX_COLUMN_EVENTS)

function decodeTimes (bytes: Buffer, count: number, width: number): Float64Array {
  const copy = copyOf(bytes, HEADER_BYTES, count * width)
  if (width === 8) return new Float64Array(copy)
  const first = bytes.readDoubleLE(5)
  const later = new Uint32Array(copy)
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) times[i] = first + later[i]! // a tenth of what Float64Array.from takes
  return times
}

/** Where a column begins. No column behind it is looked at: it may be of other field tables. */
function openOffsets (bytes: Buffer, start: number, count: number): (field: string) => number {
  const offsets = [start]
  return field => {
    const column = COLUMN_FIELDS.indexOf(field)
    if (column === -1) throw new Error(`no column for field ${field}`)
    while (offsets.length <= column) {
      let at = offsets.at(-1)!
      const isText = COLUMNS[COLUMN_FIELDS[offsets.length - 1]!] === 'text'
      const distinct = bytes.readUInt16LE(at)
      const textBytes = isText ? 4 + bytes.readUInt32LE(at + 2) : 0
      at += 2 + textBytes + distinct * 4
      if (distinct > 1) at += distinct > 256 ? count * 2 : count
      offsets.push(at)
    }
    return offsets[column]!
  }
}

/** Memory of its own: numbers of more than a byte must begin at a multiple of their size. */
function copyOf ({ buffer, byteOffset }: Buffer, start: number, length: number): ArrayBuffer {
  return (buffer as ArrayBuffer).slice(byteOffset + start, byteOffset + start + length)
}

function openTexts (bytes: Buffer, ends: Uint32Array): BlockTexts {
  const endOf = (place: number) => (ends[place]! & ~NO_TEXT) >>> 0
  const get = (place: number): string | null => {
    if (ends[place]! >= NO_TEXT) return null
    return bytes.toString('utf8', place === 0 ? 0 : endOf(place - 1), endOf(place))
  }
  let lowerCase: string | null | undefined
  return {
    count: ends.length,
    get,
    * holding (needles) {
      // Of ASCII alone lower case is what the comparison without case makes of it, and a character is a byte.
      if (lowerCase === undefined) lowerCase = isAscii(bytes) ? bytes.toString('latin1').toLowerCase() : null
      if (lowerCase === null) {
        for (let place = 0; place < ends.length; place++) yield place
        return
      }
      for (const needle of needles) {
        let place = 0
        for (let at = lowerCase.indexOf(needle); at !== -1; at = lowerCase.indexOf(needle, endOf(place))) {
          while (endOf(place) <= at) place++
          yield place // it may end in the text behind: whoever asked looks closer
        }
      }
    },
  }
}

/** A column of either kind: how many different values it has, each event's place among them, and what is kept of each: a dictionary's id or a text. */
export interface KeptColumn {
  readonly distinct: number
  readonly places: Places
  /** Null is no value. */
  keep (place: number): number | string | null
}

export function keptColumn (columns: BlockColumns, field: string): KeptColumn {
  if (COLUMNS[field] === 'text') {
    const { texts, places } = columns.text(field)
    return { distinct: texts.count, places, keep: texts.get }
  }
  const { ids, places } = columns.dictionary(field)
  return { distinct: ids.length, places, keep: place => ids[place] === 0 ? null : ids[place]! }
}

/** The columns of events that each have a row of their own. Values are in the order of the events; the id 0 and null are no value. */
export function toColumns (times: readonly number[], { ids, texts }: { ids: (field: string) => readonly number[], texts: (field: string) => readonly (string | null)[] }): BlockColumns {
  return {
    count: times.length,
    times: () => Float64Array.from(times),
    dictionary (field) {
      const { values, places } = distinctOf(ids(field))
      return { ids: Uint32Array.from(values), places }
    },
    text (field) {
      const { values, places } = distinctOf(texts(field))
      return { texts: { count: values.length, get: place => values[place]!, holding: () => values.keys() }, places }
    },
  }
}

/** The different ones of values, and the place of each among them. */
function distinctOf<T> (all: readonly T[]): { values: T[], places: Uint16Array } {
  const distinct = new Map<T, number>()
  const places = Uint16Array.from(all, value => {
    let place = distinct.get(value)
    if (place === undefined) distinct.set(value, place = distinct.size)
    return place
  })
  return { values: [...distinct.keys()], places }
}
