import { AppError } from '../../errors.js'
import type { Row, Value } from '../row.js'

/** How many rows, or groups of them, one command may hold. */
export const MAX_HELD_ROWS = 1_000_000

/** How much one command may hold, in characters of its values and what stands around them. */
const MAX_HELD_SIZE = 256 * 1024 * 1024

/** About what a value, and a row of them, take beside their characters. */
const VALUE_SIZE = 64
const ROW_SIZE = 128

/** Counts what a command holds until it has seen all its input; throws AppError `invalid` where that is too much. */
export function openHolder (command: string) {
  let rows = 0
  let size = 0
  return {
    add (added: number): void {
      rows++
      size += added
      if (rows > MAX_HELD_ROWS) throw new AppError('invalid', `${command} would have to hold more than ${MAX_HELD_ROWS} results; filter or aggregate before it`)
      if (size > MAX_HELD_SIZE) throw new AppError('invalid', `${command} would have to hold more than ${MAX_HELD_SIZE / (1024 * 1024)} MB of results; filter, aggregate or keep fewer fields before it`)
    },
  }
}

/** All rows, in memory. Throws AppError `invalid` where they are too many. */
export function holdRows (rows: Iterable<Row>, command: string): Row[] {
  const holder = openHolder(command)
  const held: Row[] = []
  for (const row of rows) {
    holder.add(sizeOf(row))
    held.push(row)
  }
  return held
}

/** About how much a row takes. */
export function sizeOf ({ values }: Row): number {
  let size = ROW_SIZE
  for (const value of values.values()) size += valueSize(value)
  return size
}

function valueSize (value: Value): number {
  if (typeof value === 'string') return VALUE_SIZE + value.length
  return typeof value === 'number' ? VALUE_SIZE : value.reduce<number>((sum, one) => sum + valueSize(one), VALUE_SIZE)
}
