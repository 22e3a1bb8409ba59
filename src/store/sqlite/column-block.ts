import { isAscii } from 'node:buffer'
import { Decoder } from '@toondepauw/node-zstd'
import { compressSync, uncompressSync } from 'lz4-napi'
import type { Scalar } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import { COLUMN_FIELDS } from './columns.js'
import { openLayout } from './layout.js'
import type { Needles } from './needles.js'
import { openProvenZstd } from './proven-zstd.js'

/** What every event of a block has, in the order of its ids: a value of each column, by its place among the column's different values. */
export interface BlockColumns {
  readonly count: number
  /** Epoch microseconds. */
  times (): Float64Array
  /** Of one event. */
  timeAt (event: number): number
  /** Of a field with a dictionary. */
  dictionary (field: string): DictionaryColumn
  /** Of a field whose text stands in the block. */
  text (field: string): TextColumn
}

/** The place of each event's value. */
export type Places = Uint8Array | Uint16Array

export interface DictionaryColumn {
  /** How many different values. */
  readonly distinct: number
  /** The id of one of them, by its place; 0 is no value. */
  idOf (place: number): number
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
  /** Ascending the places of texts that may hold one of the needles, all that do among them. */
  holding (needles: Needles): Iterable<number>
}

/** An event before its columns are encoded. */
export interface ColumnRow {
  readonly timeUs: number
  /** In the order of COLUMN_FIELDS. */
  readonly columns: readonly (Scalar | null)[]
}

/**
 * LZ4, or zstd where it was packed, over: format (1 byte, this is 1), count (u32), the earliest time (f64), width of times (1 byte, 4 or 8), how much later each time is (u32 each), or,
 * where some are more than 71 minutes later, the times (f64 each), then the columns in the order of COLUMN_FIELDS. A column is: how many different values (u16), the values, and, if they are more
 * than one, each event's place among them (u8 each, u16 where there are more than 256). Values are dictionary ids (u32 each, 0 is none), or the bytes of
 * all texts (u32), the end of each (u32 each, the first bit set where there is no value), the texts in UTF-8. Numbers are little-endian.
 */
const FORMAT = 1
const HEADER_BYTES = 1 + 4 + 8 + 1
const NO_TEXT = 0x8000_0000

/** zstd's magic number. LZ4 begins with the length of what it holds, which is not as large. */
const ZSTD_MAGIC = 0xfd2f_b528

/** Level 3: a quarter smaller than LZ4; higher ones give next to nothing more. */
const pack = openProvenZstd(3)
const unpacker = new Decoder()

/** More different values than places can say: no block has as many events. */
const MAX_COLUMN_EVENTS = 0xffff

/** `idOf` gives the id of a dictionary's value. */
export function encodeColumns (rows: readonly ColumnRow[], idOf: (field: string, value: Scalar) => number): Buffer {
  return compressSync(layOut(rows, idOf))
}

/** The same in fewer bytes, which take a little longer to read. */
export function packColumns (rows: readonly ColumnRow[], idOf: (field: string, value: Scalar) => number): Buffer {
  return pack(layOut(rows, idOf))
}

const layout = openLayout()

/** Where each event's value is, of the column under way. */
let places = new Uint16Array(256)

/** Good until the next columns are laid out. */
function layOut (rows: readonly ColumnRow[], idOf: (field: string, value: Scalar) => number): Buffer {
  const { length: count } = rows
  if (count > MAX_COLUMN_EVENTS) throw new Error(`${count} events in a block`)
  if (places.length < count) places = new Uint16Array(count * 2)
  layout.begin()
  layTimes(rows)
  for (let column = 0; column < COLUMN_FIELDS.length; column++) {
    const field = COLUMN_FIELDS[column]!
    const values = distinctOf(count, i => rows[i]!.columns[column]!, places)
    layout.u16(values.length)
    if (IS_TEXT[column] === true) layTexts(values as (string | null)[])
    else for (const value of values) layout.u32(value === null ? 0 : idOf(field, value))
    if (values.length > 256) for (let i = 0; i < count; i++) layout.u16(places[i]!)
    else if (values.length > 1) for (let i = 0; i < count; i++) layout.u8(places[i]!)
  }
  return layout.bytes()
}

function layTimes (rows: readonly ColumnRow[]): void {
  let first = Infinity
  let last = -Infinity
  for (const { timeUs } of rows) {
    if (timeUs < first) first = timeUs
    if (timeUs > last) last = timeUs
  }
  const isNear = rows.length === 0 || last - first < 2 ** 32
  layout.u8(FORMAT)
  layout.u32(rows.length)
  layout.f64(rows.length === 0 ? 0 : first)
  layout.u8(isNear ? 4 : 8)
  for (const { timeUs } of rows) {
    if (isNear) layout.u32(timeUs - first)
    else layout.f64(timeUs)
  }
}

function layTexts (values: readonly (string | null)[]): void {
  const sizeAt = layout.skip(4)
  const endsAt = layout.skip(values.length * 4)
  let end = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== null) end += layout.text(value)
    layout.u32At(endsAt + i * 4, value === null ? end + NO_TEXT : end)
  }
  layout.u32At(sizeAt, end)
}

/** Columns are read from the bytes when they are asked for, so that what nobody asks for costs nothing. Throws where the bytes are none of a block. */
export function decodeColumns (data: Buffer): BlockColumns {
  const bytes = data.length >= 4 && data.readUInt32LE(0) === ZSTD_MAGIC ? unpacker.decodeSync(data) : uncompressSync(data)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const format = view.getUint8(0)
  if (format !== FORMAT) throw new Error(`unknown column format ${format}`)
  const count = view.getUint32(1, true)
  const first = view.getFloat64(5, true)
  const width = view.getUint8(13)
  if (width !== 4 && width !== 8) throw new Error(`times of ${width} bytes`)
  const offsetOf = openOffsets(view, HEADER_BYTES + count * width, count)
  const placesAt = (at: number, distinct: number): Places => {
    if (distinct === 1) return FIRST_PLACES.subarray(0, count)
    checkEnd(view, at + count * (distinct > 256 ? 2 : 1))
    // Numbers of more than a byte must begin at a multiple of their size: they get memory of their own.
    return distinct > 256 ? new Uint16Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + count * 2)) : new Uint8Array(bytes.buffer, bytes.byteOffset + at, count)
  }
  const timeAt = width === 4
    ? (event: number) => first + view.getUint32(HEADER_BYTES + event * 4, true)
    : (event: number) => view.getFloat64(HEADER_BYTES + event * 8, true)
  let times: Float64Array | null = null
  return {
    count,
    times () {
      if (times === null) {
        times = new Float64Array(count)
        for (let i = 0; i < count; i++) times[i] = timeAt(i) // a tenth of what Float64Array.from takes
      }
      return times
    },
    timeAt,
    dictionary (field) {
      const at = offsetOf(field)
      const distinct = view.getUint16(at, true)
      const end = at + 2 + distinct * 4
      return { distinct, idOf: place => view.getUint32(at + 2 + place * 4, true), places: placesAt(end, distinct) }
    },
    text (field) {
      const at = offsetOf(field)
      const distinct = view.getUint16(at, true)
      const size = view.getUint32(at + 2, true)
      const ends = at + 6
      const start = ends + distinct * 4
      const places = placesAt(start + size, distinct)
      return { texts: openTexts(bytes.subarray(start, start + size), distinct, place => view.getUint32(ends + place * 4, true)), places }
    },
  }
}

/** The places of a column that has one value. */
const FIRST_PLACES = new Uint8Array(MAX_COLUMN_EVENTS)

function checkEnd (view: DataView, end: number): void {
  if (end > view.byteLength) throw new Error('a block of columns ends too early')
}

/** Where a column begins. No column behind it is looked at: it may be of other field tables. */
function openOffsets (view: DataView, start: number, count: number): (field: string) => number {
  checkEnd(view, start)
  const offsets = [start]
  return field => {
    const column = COLUMN_FIELDS.indexOf(field)
    if (column === -1) throw new Error(`no column for field ${field}`)
    for (let known = offsets.length; known <= column + 1; known++) {
      let at = offsets[known - 1]!
      const distinct = view.getUint16(at, true)
      const textBytes = IS_TEXT[known - 1] === true ? 4 + view.getUint32(at + 2, true) : 0
      at += 2 + textBytes + distinct * 4
      if (distinct > 1) at += distinct > 256 ? count * 2 : count
      checkEnd(view, at)
      offsets.push(at)
    }
    return offsets[column]!
  }
}

/** Of each column whether its texts stand in the block. */
const IS_TEXT = COLUMN_FIELDS.map(field => COLUMNS[field] === 'text')

/** `endAt` gives where the text of a place ends among the bytes, with the mark of no text. */
function openTexts (bytes: Buffer, count: number, endAt: (place: number) => number): BlockTexts {
  const endOf = (place: number) => (endAt(place) & ~NO_TEXT) >>> 0
  return {
    count,
    get (place) {
      if (endAt(place) >= NO_TEXT) return null
      return bytes.toString('utf8', place === 0 ? 0 : endOf(place - 1), endOf(place))
    },
    * holding (needles) {
      // Of ASCII alone lower case is what the comparison without case makes of it.
      if (!isAscii(bytes)) {
        for (let place = 0; place < count; place++) yield place
        return
      }
      let place = 0
      let end = count === 0 ? 0 : endOf(0)
      for (let at = needles.find(bytes, 0); at !== -1; at = needles.find(bytes, end)) {
        while (end <= at && place < count - 1) end = endOf(++place)
        if (end <= at) return
        yield place
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
  const { distinct, idOf, places } = columns.dictionary(field)
  return {
    distinct,
    places,
    keep (place) {
      const id = idOf(place)
      return id === 0 ? null : id
    },
  }
}

/** The columns of events that each have a row of their own. Values are in the order of the events; the id 0 and null are no value. */
export function toColumns (times: readonly number[], { ids, texts }: { ids: (field: string) => readonly number[], texts: (field: string) => readonly (string | null)[] }): BlockColumns {
  return {
    count: times.length,
    times: () => Float64Array.from(times),
    timeAt: event => times[event]!,
    dictionary (field) {
      const { values, places } = placed(ids(field))
      return { distinct: values.length, idOf: place => values[place]!, places }
    },
    text (field) {
      const { values, places } = placed(texts(field))
      return { texts: { count: values.length, get: place => values[place]!, holding: () => values.keys() }, places }
    },
  }
}

function placed<T> (all: readonly T[]): { values: T[], places: Uint16Array } {
  const places = new Uint16Array(all.length)
  return { values: distinctOf(all.length, i => all[i]!, places), places }
}

/** So few values are looked through; of more it is known where each is. */
const FEW = 8

/** The different ones of values; `into` gets the place of each among them. */
function distinctOf<T> (count: number, valueAt: (i: number) => T, into: Uint16Array): T[] {
  const values: T[] = []
  let known: Map<T, number> | null = null
  let last: T | undefined
  let lastPlace = 0
  for (let i = 0; i < count; i++) {
    const value = valueAt(i)
    if (i === 0 || value !== last) { // most values are those of the event before
      let place = known === null ? values.indexOf(value) : known.get(value) ?? -1
      if (place === -1) {
        place = values.push(value) - 1
        if (known !== null) known.set(value, place)
        else if (values.length > FEW) known = new Map(values.map((one, i) => [one, i]))
      }
      last = value
      lastPlace = place
    }
    into[i] = lastPlace
  }
  return values
}
