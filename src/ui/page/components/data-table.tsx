import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { useNarrow } from '../preferences.js'
import { useLatest } from '../query.js'

export interface Column<T> {
  readonly key: string
  readonly title: string
  readonly render: (row: T) => ComponentChildren
  readonly align?: 'left' | 'right'
  /** Of the column, in CSS; the rest is shared out. */
  readonly width?: string
  /** Says in a card what the value is; the title where it is missing, '' for nothing. */
  readonly cardLabel?: string
}

export interface DataTableProps<T> {
  /** What the table is, for those who don't see it. */
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  /** A row is opened by a click; the link in it should lead to the same place. */
  readonly onOpen?: (row: T) => void
  /** Key of the row that the keyboard is at; it is kept in view. */
  readonly cursor?: string | null
  readonly rowClass?: (row: T) => string
  /** Columns that the list is ordered by have arrows: `-time` is descending. */
  readonly sort?: { readonly by: string, readonly keys: readonly string[], readonly onSort: (by: string) => void }
  /** Pixels of a row and of a card: only rows that are seen are in the document, so that a list may have 100,000. Without it all rows are. */
  readonly rowHeight?: { readonly table: number, readonly card: number }
  /** Called when the end comes into view. */
  readonly onEnd?: () => void
  readonly foot?: ComponentChildren
}

/** Rows above and below what is seen. */
const OVERSCAN = 12

/** A table; on a narrow screen its rows are cards. */
export function DataTable<T> ({ label, columns, rows, rowKey, onOpen, cursor = null, rowClass, sort, rowHeight, onEnd, foot }: DataTableProps<T>) {
  const isNarrow = useNarrow()
  const height = rowHeight === undefined ? null : isNarrow ? rowHeight.card : rowHeight.table
  const frame = useRef<HTMLDivElement>(null)
  const head = useRef<HTMLTableSectionElement>(null)
  const [seen, setSeen] = useState({ first: 0, count: 60 })

  const look = () => {
    const element = frame.current
    if (element === null || height === null) return
    const first = Math.max(0, Math.floor((element.scrollTop - (head.current?.offsetHeight ?? 0)) / height) - OVERSCAN)
    const count = Math.ceil(element.clientHeight / height) + 2 * OVERSCAN
    setSeen(before => before.first === first && before.count === count ? before : { first, count })
    if (onEnd !== undefined && first + count >= rows.length) onEnd()
  }
  const lookNow = useLatest(look)
  useLayoutEffect(look, [rows.length, height, onEnd])
  useEffect(() => {
    if (height === null || frame.current === null) return
    const observer = new ResizeObserver(() => lookNow.current())
    observer.observe(frame.current)
    return () => observer.disconnect()
  }, [height === null])

  const cursorAt = cursor === null ? -1 : rows.findIndex(row => rowKey(row) === cursor)
  useLayoutEffect(() => {
    const element = frame.current
    if (element === null || cursorAt < 0) return
    if (height === null) {
      element.querySelector('[data-cursor]')?.scrollIntoView({ block: 'nearest' })
      return
    }
    const top = cursorAt * height
    const room = element.clientHeight - (head.current?.offsetHeight ?? 0)
    if (top < element.scrollTop) element.scrollTop = top
    else if (top + height > element.scrollTop + room) element.scrollTop = top + height - room
    // Only where the cursor has moved: rows that come in above it are not to pull the list along.
  }, [cursor, height])

  const first = height === null ? 0 : Math.min(seen.first, Math.max(0, rows.length - 1))
  const shown = height === null ? rows : rows.slice(first, first + seen.count)
  const above = first * (height ?? 0)
  const below = Math.max(0, rows.length - first - shown.length) * (height ?? 0)
  return (
    <div ref={frame} class={`table-frame${height === null ? '' : ' windowed'}`} tabIndex={0} role='region' aria-label={label} onScroll={look}>
      <table aria-rowcount={rows.length + 1} class={isNarrow ? 'cards' : ''}>
        <colgroup>{columns.map(({ key, width }) => <col key={key} style={width === undefined ? {} : { width }} />)}</colgroup>
        <thead ref={head}>
          <tr>
            {columns.map(({ key, title, align }) => {
              const direction = sort?.by === key ? 'ascending' : sort?.by === `-${key}` ? 'descending' : undefined
              const isSortable = sort?.keys.includes(key) === true
              return (
                <th key={key} scope='col' class={align ?? ''} {...direction === undefined ? {} : { 'aria-sort': direction }}>
                  {isSortable
                    ? <button type='button' class='sort' onClick={() => sort.onSort(direction === 'descending' ? key : `-${key}`)}>{title}<span aria-hidden='true'>{direction === undefined ? ' ↕' : direction === 'ascending' ? ' ↑' : ' ↓'}</span></button>
                    : title}
                </th>
              )
            })}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <tr aria-hidden='true' class='spacer'><td colSpan={columns.length} style={{ height: `${above}px` }} /></tr>}
          {shown.map((row, n) => {
            const key = rowKey(row)
            return (
              <tr
                key={key}
                aria-rowindex={first + n + 2}
                class={`${rowClass?.(row) ?? ''}${onOpen === undefined ? '' : ' opens'}`}
                {...key === cursor ? { 'data-cursor': '', 'aria-current': true } : {}}
                {...height === null ? {} : { style: { height: `${height}px` } }}
                onClick={event => {
                  const isOwn = (event.target as Element).closest('a, button, input, select, label') !== null
                  if (!isOwn && (getSelection()?.isCollapsed ?? true)) onOpen?.(row)
                }}
              >
                {columns.map(({ key: name, align, render, title, cardLabel = title }) => <td key={name} class={`${align ?? ''} col-${name}`} {...cardLabel === '' ? {} : { 'data-label': cardLabel }}>{render(row)}</td>)}
              </tr>
            )
          })}
          {below > 0 && <tr aria-hidden='true' class='spacer'><td colSpan={columns.length} style={{ height: `${below}px` }} /></tr>}
        </tbody>
      </table>
      {foot}
    </div>
  )
}
