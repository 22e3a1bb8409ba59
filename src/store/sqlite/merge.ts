import type Database from 'better-sqlite3'
import type { Scalar } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import type { BlockItem } from './block.js'
import { MAX_MERGED_BYTES, MAX_MERGED_EVENTS } from './block.js'
import type { Block } from './blocks.js'
import type { ColumnRow } from './column-block.js'
import { COLUMN_FIELDS } from './columns.js'
import type { BlockPart, StoredBlock } from './join.js'
import { INSERT_BLOCK, joinParts, readPart, sizeOf } from './join.js'
import { openBlocks } from './partition-reader.js'

/** A block with as many events is left as it is: a larger one would hardly be smaller on disk. */
export const FULL_EVENTS = MAX_MERGED_EVENTS / 2

/** Blocks that a step looks at where it finds nothing to merge: the first one of a process may have a day of them before it. */
const MAX_LOOKED = 100

/**
 * Events of blocks that were just written are kept until they are merged, as long as they are no more than fill two merged ones: to read a dozen of them again costs as much as the merge
 * itself. Of more events in a block it costs no more than to keep them, which makes work for the garbage collection.
 */
const MAX_RECENT_BLOCK_EVENTS = 32
const MAX_RECENT_EVENTS = 2 * MAX_MERGED_EVENTS
const MAX_RECENT_BYTES = 2 * MAX_MERGED_BYTES

/** An event as it was written, with the values of its columns. */
export interface WrittenEvent extends BlockItem, ColumnRow { readonly odd: boolean }

type BlockIds = Pick<Block, 'first_id' | 'last_id'>

/**
 * Makes large blocks of the small ones that small requests leave: they take half as much space again, and longer to search. No search may run meanwhile, since it
 * reads blocks one after the other. Throws DamageError where a block is damaged. `idOf` gives the id of a dictionary's value.
 */
export function openMerger (db: Database.Database, partition: string, idOf: (field: string, value: Scalar) => number) {
  const selectMergedId = db.prepare<[], number>('SELECT merged_id FROM partition').pluck()
  const selectNext = db.prepare<[number], BlockIds>('SELECT first_id, last_id FROM block WHERE first_id > ? ORDER BY first_id LIMIT 1')
  const selectBlock = db.prepare<[number], Block>('SELECT first_id, last_id, min_time_us, max_time_us, odd FROM block WHERE first_id = ?')
  const remove = db.prepare<[number, number]>('DELETE FROM block WHERE first_id BETWEEN ? AND ?')
  const insert = db.prepare<StoredBlock>(INSERT_BLOCK)
  const updateMergedId = db.prepare<[number]>('UPDATE partition SET merged_id = ?')
  const stored = openBlocks(db, partition)

  /** By the first id of their block, oldest first. */
  const recent = new Map<number, readonly WrittenEvent[]>()
  let recentEvents = 0
  let recentBytes = 0

  function forget (firstId: number): void {
    const events = recent.get(firstId)
    if (events === undefined) return
    recent.delete(firstId)
    recentEvents -= events.length
    recentBytes -= sizeOf(events)
  }

  const replace = db.transaction((blocks: readonly BlockPart[], merged: StoredBlock) => {
    remove.run(blocks[0]!.first_id, blocks.at(-1)!.first_id)
    insert.run(merged)
    updateMergedId.run(merged.last_id)
  })

  /** The next small blocks that become one; none where it has looked at enough, null where too few have come yet. */
  function nextBlocks (): readonly BlockPart[] | null {
    const mergedId = selectMergedId.get()!
    let leftId = mergedId // blocks up to there stay as they are
    let blocks: BlockPart[] = []
    let count = 0
    let bytes = 0
    let looked = 0
    for (let ids = selectNext.get(mergedId); ids !== undefined; ids = selectNext.get(ids.last_id)) {
      const isLarge = countOf(ids) >= FULL_EVENTS
      const block = isLarge ? null : recentBlock(ids) ?? readPart(stored, selectBlock.get(ids.first_id)!)
      const added = block?.items ?? []
      const addedBytes = sizeOf(added)
      const isBehindGap = blocks.length > 0 && blocks.at(-1)!.last_id + 1 !== ids.first_id // after a crash; a block's ids have none
      if (isLarge || isBehindGap || count + added.length > MAX_MERGED_EVENTS || bytes + addedBytes > MAX_MERGED_BYTES) {
        if (blocks.length > 1) return blocks
        leftId = isLarge ? ids.last_id : ids.first_id - 1
        blocks = []
        count = 0
        bytes = 0
        if (++looked >= MAX_LOOKED) {
          updateMergedId.run(leftId)
          return blocks
        }
      }
      if (block === null) continue
      blocks.push(block)
      count += added.length
      bytes += addedBytes
    }
    if (leftId > mergedId) updateMergedId.run(leftId)
    return null
  }

  function recentBlock ({ first_id, last_id }: BlockIds): BlockPart | null {
    const items = recent.get(first_id)
    if (items === undefined) return null
    const times = items.map(({ timeUs }) => timeUs)
    return { first_id, last_id, min_time_us: Math.min(...times), max_time_us: Math.max(...times), odd: items.some(({ odd }) => odd) ? 1 : 0, items, rows: () => items.map(withIds) }
  }

  function withIds ({ timeUs, columns }: WrittenEvent): ColumnRow {
    return {
      timeUs,
      columns: columns.map((value, column) => {
        const field = COLUMN_FIELDS[column]!
        return value !== null && COLUMNS[field] === 'dictionary' ? idOf(field, value) : value
      }),
    }
  }

  return {
    /** Merges the next small blocks, as many as become one at a time, or looks on for them; says whether there may be more. */
    mergeNext (): boolean {
      const blocks = nextBlocks()
      if (blocks === null) return false
      if (blocks.length === 0) return true
      replace.immediate(blocks, joinParts(blocks, 'quick'))
      for (const { first_id: firstId } of blocks) forget(firstId)
      return true
    },
    /** To be told of each block that is committed. */
    wrote (firstId: number, events: readonly WrittenEvent[]): void {
      if (events.length > MAX_RECENT_BLOCK_EVENTS) return
      // Their bytes are views of requests, which may be much larger.
      recent.set(firstId, events.map(({ kind, bytes, indexTimeUs, filled, timeUs, columns, odd }) => ({ kind, bytes: bytes.slice(), indexTimeUs, filled, timeUs, columns, odd })))
      recentEvents += events.length
      recentBytes += sizeOf(events)
      while (recentEvents > MAX_RECENT_EVENTS || recentBytes > MAX_RECENT_BYTES) forget(recent.keys().next().value!)
    },
  }
}

function countOf ({ first_id: firstId, last_id: lastId }: BlockIds): number {
  return lastId - firstId + 1
}
