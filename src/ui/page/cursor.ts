import { useState } from 'preact/hooks'

/** The row of a list that the keyboard is at. */
export function useCursor<T> (rows: readonly T[], keyOf: (row: T) => string, first: string | null = null) {
  const [at, setAt] = useState(first)
  return {
    at,
    setAt,
    row: rows.find(row => keyOf(row) === at),
    /** To the row so many further, or the first or last one; undefined where there is none. */
    move (by: number): T | undefined {
      const from = rows.findIndex(row => keyOf(row) === at)
      const next = rows[from < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, from + by))]
      if (next !== undefined) setAt(keyOf(next))
      return next
    },
  }
}
