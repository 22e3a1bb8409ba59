import { COLUMN_FIELDS } from './columns.js'
import type { BlockItem } from './block.js'
import { encodeBlock, packBlock } from './block.js'
import type { Block } from './blocks.js'
import type { BlockColumns, ColumnRow } from './column-block.js'
import { encodeColumns, keptColumn, packColumns } from './column-block.js'
import type { BlockReader } from './partition-reader.js'

/** As it stands in its table. */
export interface StoredBlock extends Block { readonly columns: Buffer, readonly data: Buffer }

/** A block that becomes part of a larger one. Its rows have ids in place of the dictionary's values. */
export interface BlockPart extends Block { readonly items: readonly BlockItem[], readonly rows: () => readonly ColumnRow[] }

export const INSERT_BLOCK = `
  INSERT INTO block (first_id, last_id, min_time_us, max_time_us, odd, columns, data) VALUES (@first_id, @last_id, @min_time_us, @max_time_us, @odd, @columns, @data)
`

/** Reads a block, to become part of another one. */
export function readPart ({ columnsOf, itemsOf }: BlockReader, block: Block): BlockPart {
  return { ...block, items: itemsOf(block), rows: () => rowsOf(columnsOf(block)) }
}

/** One block of several that follow each other without a gap in their ids. Quick: as what comes is written. Packed: as small as it becomes. */
export function joinParts (parts: readonly BlockPart[], way: 'quick' | 'packed'): StoredBlock {
  const [toColumns, toData] = way === 'quick' ? [encodeColumns, encodeBlock] : [packColumns, packBlock]
  return {
    first_id: parts[0]!.first_id,
    last_id: parts.at(-1)!.last_id,
    min_time_us: Math.min(...parts.map(part => part.min_time_us)),
    max_time_us: Math.max(...parts.map(part => part.max_time_us)),
    odd: Math.max(...parts.map(({ odd }) => odd)),
    columns: toColumns(parts.flatMap(({ rows }) => rows()), (_, id) => id as number),
    data: toData(parts.flatMap(({ items }) => items)),
  }
}

export function sizeOf (items: readonly BlockItem[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

/** The events of a block with the ids of their dictionary values in place of these. */
function rowsOf (block: BlockColumns): ColumnRow[] {
  const columns = COLUMN_FIELDS.map(field => keptColumn(block, field))
  return Array.from(block.times(), (timeUs, event) => ({ timeUs, columns: columns.map(({ places, keep }) => keep(places[event]!)) }))
}
