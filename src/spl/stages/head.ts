import type { HeadStage, TailStage } from '../ast.js'
import type { Row } from '../row.js'
import { holdRows, openHolder, sizeOf } from './hold.js'

/** The first rows; no more are read. */
export function head ({ count }: HeadStage): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    if (count === 0) return
    let left = count
    for (const row of rows) {
      yield row
      if (--left === 0) return
    }
  }
}

/** Whether a row is one of the first, of rows that come whether they are wanted or not. */
export function openHead ({ count }: HeadStage): () => boolean {
  let left = count
  return () => left-- > 0
}

/** The last rows, the last one first. */
export function tail ({ count }: TailStage): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    if (count === 0) return
    const holder = openHolder('tail')
    const ring: Row[] = []
    let at = 0
    for (const row of rows) {
      if (ring.length < count) {
        holder.add(sizeOf(row))
        ring.push(row)
      } else {
        ring[at] = row
        at = (at + 1) % count
      }
    }
    yield * [...ring.slice(at), ...ring.slice(0, at)].reverse()
  }
}

/** All rows, the last one first. */
export function * reverse (rows: Iterable<Row>): Iterable<Row> {
  yield * holdRows(rows, 'reverse').reverse()
}
