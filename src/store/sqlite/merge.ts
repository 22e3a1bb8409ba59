import type Database from 'better-sqlite3'
import type { BlockItem } from './block.js'
import { decodeBlock, encodeBlock, MAX_BLOCK_BYTES, MAX_BLOCK_EVENTS } from './block.js'
import type { BlockColumns, ColumnRow } from './column-block.js'
import { decodeColumns, encodeColumns, keptColumn } from './column-block.js'
import { COLUMN_FIELDS } from './columns.js'
import { decodingBlock } from './damage.js'

/** A block with as many events is left as it is: a larger one would hardly be smaller on disk. */
const FULL_EVENTS = MAX_BLOCK_EVENTS / 2

/** Blocks that a step looks at where it finds nothing to merge: the first one of a process may have a day of them before it. */
const MAX_LOOKED = 100

interface BlockIds { readonly first_id: number, readonly last_id: number }

interface StoredBlock extends BlockIds { readonly min_time_us: number, readonly max_time_us: number, readonly odd: number, readonly columns: Buffer, readonly data: Buffer }

/**
 * Makes large blocks of the small ones that small requests leave: they take half as much space again, and longer to search. No search may run meanwhile, since it
 * reads blocks one after the other. Throws DamageError where a block is damaged.
 */
export function openMerger (db: Database.Database, partition: string) {
  const selectMergedId = db.prepare<[], number>('SELECT merged_id FROM partition').pluck()
  const selectNext = db.prepare<[number], BlockIds>('SELECT first_id, last_id FROM block WHERE first_id > ? ORDER BY first_id LIMIT 1')
  const selectBlock = db.prepare<[number], StoredBlock>('SELECT * FROM block WHERE first_id = ?')
  const remove = db.prepare<[number, number]>('DELETE FROM block WHERE first_id BETWEEN ? AND ?')
  const insert = db.prepare<StoredBlock>(`
    INSERT INTO block (first_id, last_id, min_time_us, max_time_us, odd, columns, data) VALUES (@first_id, @last_id, @min_time_us, @max_time_us, @odd, @columns, @data)
  `)
  const updateMergedId = db.prepare<[number]>('UPDATE partition SET merged_id = ?')

  const replace = db.transaction((blocks: readonly StoredBlock[], merged: StoredBlock) => {
    remove.run(blocks[0]!.first_id, blocks.at(-1)!.first_id)
    insert.run(merged)
    updateMergedId.run(merged.last_id)
  })

  /** The next small blocks that become one, and their events; empty where it has looked at enough, null where too few have come yet. */
  function nextBlocks (): { blocks: readonly StoredBlock[], items: readonly BlockItem[] } | null {
    const mergedId = selectMergedId.get()!
    let leftId = mergedId // blocks up to there stay as they are
    let blocks: StoredBlock[] = []
    let items: BlockItem[] = []
    let bytes = 0
    let looked = 0
    for (let ids = selectNext.get(mergedId); ids !== undefined; ids = selectNext.get(ids.last_id)) {
      const isLarge = countOf(ids) >= FULL_EVENTS
      const block = isLarge ? null : selectBlock.get(ids.first_id)!
      const added = block === null ? [] : itemsOf(block)
      const addedBytes = added.reduce((sum, item) => sum + item.bytes.length, 0)
      const isBehindGap = blocks.length > 0 && blocks.at(-1)!.last_id + 1 !== ids.first_id // after a crash; a block's ids have none
      if (isLarge || isBehindGap || items.length + added.length > MAX_BLOCK_EVENTS || bytes + addedBytes > MAX_BLOCK_BYTES) {
        if (blocks.length > 1) return { blocks, items }
        leftId = isLarge ? ids.last_id : ids.first_id - 1
        blocks = []
        items = []
        bytes = 0
        if (++looked >= MAX_LOOKED) {
          updateMergedId.run(leftId)
          return { blocks, items }
        }
      }
      if (block === null) continue
      blocks.push(block)
      items = items.concat(added)
      bytes += addedBytes
    }
    if (leftId > mergedId) updateMergedId.run(leftId)
    return null
  }

  const itemsOf = (block: StoredBlock) => decodingBlock(partition, block, () => decodeBlock(block.data), ({ length }) => length)
  const columnsOf = (block: StoredBlock) => decodingBlock(partition, block, () => decodeColumns(block.columns), ({ count }) => count)

  return {
    /** Merges the next small blocks, a block full of events at a time, or looks on for them; says whether there may be more. */
    mergeNext (): boolean {
      const next = nextBlocks()
      if (next === null) return false
      const { blocks, items } = next
      if (blocks.length === 0) return true
      replace.immediate(blocks, {
        first_id: blocks[0]!.first_id,
        last_id: blocks.at(-1)!.last_id,
        min_time_us: Math.min(...blocks.map(block => block.min_time_us)),
        max_time_us: Math.max(...blocks.map(block => block.max_time_us)),
        odd: Math.max(...blocks.map(({ odd }) => odd)),
        columns: encodeColumns(blocks.flatMap(block => rowsOf(columnsOf(block))), (_, id) => id as number),
        data: encodeBlock(items),
      })
      return true
    },
  }
}

function countOf ({ first_id: firstId, last_id: lastId }: BlockIds): number {
  return lastId - firstId + 1
}

/** The events of a block with the ids of their dictionary values in place of these. */
function rowsOf (block: BlockColumns): ColumnRow[] {
  const columns = COLUMN_FIELDS.map(field => keptColumn(block, field))
  return Array.from(block.times(), (timeUs, event) => ({ timeUs, columns: columns.map(({ places, keep }) => keep(places[event]!)) }))
}
