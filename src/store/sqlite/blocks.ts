import TinyQueue from 'tinyqueue'
import type { Window } from '../../event.js'
import type { EventOrder, Position } from '../events.js'
import type { BlockColumns } from './column-block.js'
import type { Marks } from './condition.js'
import { reading } from './damage.js'
import type { PartitionReader } from './partition-reader.js'
import type { PartitionSummary } from './partition.js'

/** What a search looks at: partitions, event time, and ids after a position up to another one. */
export interface Scope {
  readonly partitions: readonly PartitionSummary[]
  readonly window: Window
  /** 0 where events of all ids are looked at. */
  readonly afterId: number
  readonly lastId: number
}

/** From the earliest to the latest that windows take; of none no time. */
export function joinWindows (windows: readonly Window[]): Window {
  let [earliestUs, latestUs] = [Infinity, -Infinity]
  for (const window of windows) {
    earliestUs = Math.min(earliestUs, window.earliestUs)
    latestUs = Math.max(latestUs, window.latestUs)
  }
  return { earliestUs, latestUs }
}

/** The position at which an event is the last one that is visible. */
export function toPosition (id: number): Position {
  return String(id) as Position
}

export interface Block {
  readonly first_id: number
  readonly last_id: number
  readonly min_time_us: number
  readonly max_time_us: number
  readonly odd: number
}

/** One of `of` parts that all blocks are dealt to, of about the same size. */
export interface Part { readonly index: number, readonly of: number }

/** How many events of a block a search looks at. */
export function countInScope ({ first_id: firstId, last_id: blockLastId }: Block, { afterId, lastId }: Scope): number {
  return Math.min(blockLastId, lastId) - Math.max(firstId - 1, afterId)
}

/** One event that a search found; `read` makes of it what is wanted. */
export interface Found<T> { readonly id: number, readonly timeUs: number, readonly item: T }

/** Where in an order an event stands. */
export interface Place { readonly timeUs: number, readonly id: number }

/** How two events stand to each other in an order. */
export function compareIn (order: EventOrder): (a: Place, b: Place) => number {
  const sign = order.startsWith('-') ? -1 : 1
  return order === 'id' || order === '-id' ? (a, b) => sign * (a.id - b.id) : (a, b) => sign * (a.timeUs - b.timeUs || a.id - b.id)
}

export type ReadBlock<T> = (reader: PartitionReader, block: Block) => readonly Found<T>[]

/** The places of a block's events that are in the scope and marked. */
export function placesInScope ({ first_id: firstId, min_time_us: minTimeUs, max_time_us: maxTimeUs }: Block, columns: BlockColumns, { window: { earliestUs, latestUs }, afterId, lastId }: Scope, marks: Marks): number[] {
  const places: number[] = []
  if (marks === 'none') return places
  const times = minTimeUs >= earliestUs && maxTimeUs < latestUs ? null : columns.times()
  const end = Math.min(columns.count, lastId - firstId + 1)
  for (let i = Math.max(0, afterId - firstId + 1); i < end; i++) {
    if (marks !== 'all' && marks[i] === 0) continue
    if (times === null || (times[i]! >= earliestUs && times[i]! < latestUs)) places.push(i)
  }
  return places
}

/** Blocks are read in pages, so that no statement stays open while the rest of a search runs. */
const PAGE = 256

/** Which part a block is of: by a hash of its first id, which is that of no other block. First ids alone are far from even: most blocks have the same number of events. */
const PART = '((first_id & 0x7fffffff) * 0x9e3779b1 >> 16 & 0xffff) % @of = @index'

/** The blocks of the scope that may hold an event of it: by id, by the time that their first event in the order can have, or as they are found fastest. */
export function * blocksOf (reader: PartitionReader, scope: Scope, order: EventOrder | 'any'): Generator<Block> {
  for (const page of pagesOf(reader, scope, order)) yield * page
}

/** The same by the page; of a part of them where there is one. */
export function * pagesOf (reader: PartitionReader, { window, afterId, lastId }: Scope, order: EventOrder | 'any', part: Part | null = null): Generator<readonly Block[]> {
  const fromId = afterId > 0 && (order === 'id' || order === '-id') ? firstIdNear(reader, afterId) : 0
  const { key, direction, start, from = '' } = {
    any: { key: 'max_time_us', direction: 'ASC', start: window.earliestUs }, // most searches are of the last hours: few blocks end behind their window; uses block_max_time_us_idx
    id: { key: 'first_id', direction: 'ASC', start: fromId },
    '-id': { key: 'first_id', direction: 'DESC', start: Infinity, from: 'AND first_id >= @fromId' }, // or it would go on to the first block
    time: { key: 'min_time_us', direction: 'ASC', start: -Infinity }, // uses block_min_time_us_idx
    '-time': { key: 'max_time_us', direction: 'DESC', start: Infinity }, // uses block_max_time_us_idx
  }[order]
  const after = direction === 'ASC' ? '>' : '<'
  const select = reader.db.prepare<object, Block>(`
    SELECT first_id, last_id, min_time_us, max_time_us, odd FROM block
    WHERE max_time_us >= @earliestUs AND min_time_us < @latestUs AND first_id <= @lastId AND last_id > @afterId ${from} AND (${key}, first_id) ${after} (@key, @id)${part === null ? '' : ` AND ${PART}`}
    ORDER BY ${key} ${direction}, first_id ${direction} LIMIT ${PAGE}
  `)
  const params = { ...window, ...part, afterId, lastId, fromId, key: start, id: direction === 'ASC' ? -Infinity : Infinity }
  for (;;) {
    const page = reading(reader.name, () => select.all(params))
    yield page
    if (page.length < PAGE) return
    const last = page.at(-1)!
    params.key = last[key as 'first_id' | 'min_time_us' | 'max_time_us']
    params.id = last.first_id
  }
}

/** The first id of the block that holds an event, or of the last one before it; 0 where there is none. */
function firstIdNear ({ name, db }: PartitionReader, id: number): number {
  const select = db.prepare<[number], number | null>('SELECT max(first_id) FROM block WHERE first_id <= ?').pluck()
  return reading(name, () => select.get(id)) ?? 0
}

/**
 * Merges the events of blocks in order. Blocks come by the first time (or id) that they can hold, so an event is next when
 * no block to come can hold one before it; only blocks that overlap in time are in memory together. Null says that a block was read.
 */
export function * ordered<T> (partitions: readonly PartitionReader[], scope: Scope, order: EventOrder, readBlock: ReadBlock<T>, after?: Place): Generator<Found<T> | null> {
  const sign = order.startsWith('-') ? -1 : 1
  const byId = order === 'id' || order === '-id'
  const keyOf = ({ id, timeUs }: { id: number, timeUs: number }) => byId ? id : timeUs
  const compare = compareIn(order)
  /** The first and the last place in the order that an event of a block can have. */
  const boundsOf = (block: Block): [first: number, last: number] => {
    const [low, high] = byId ? [block.first_id, block.last_id] : [block.min_time_us, block.max_time_us]
    return sign > 0 ? [low, high] : [-high, -low]
  }

  const streams = partitions.map(reader => ({ reader, blocks: blocksOf(reader, scope, order) }))
  interface Head { readonly stream: typeof streams[number], readonly block: Block, readonly first: number, readonly last: number }
  const heads = new TinyQueue<Head>([], (a, b) => a.first - b.first)
  const advance = (stream: typeof streams[number]) => {
    const { value: block, done } = stream.blocks.next()
    if (done === true) return
    const [first, last] = boundsOf(block)
    heads.push({ stream, block, first, last })
  }
  streams.forEach(advance)
  const pending = new TinyQueue<Found<T>>([], compare)
  for (;;) {
    const head = heads.peek()
    const next = pending.peek()
    if (next !== undefined && (head === undefined || sign * keyOf(next) < head.first)) {
      yield pending.pop()!
    } else if (head !== undefined) {
      heads.pop()
      advance(head.stream)
      if (after !== undefined && head.last < sign * keyOf(after)) continue
      for (const found of readBlock(head.stream.reader, head.block)) {
        if (after === undefined || compare(found, after) > 0) pending.push(found)
      }
      yield null
    } else return
  }
}
