import { useMemo, useState } from 'preact/hooks'
import type { Row } from '../api-types.js'
import { useKeys } from '../keys.js'
import { usePreferences } from '../preferences.js'
import { Visible } from '../text.js'
import { Time, timeText } from '../time.js'
import { Code, Json } from './code.js'
import type { Column } from './data-table.js'
import { DataTable } from './data-table.js'
import { Dialog } from './dialog.js'

/** From so many rows on they all have one line, so that only those in view need be in the document. */
const MAX_TALL = 100

/** Values of a multivalue that a tall row shows. */
const MAX_VALUES = 12

/** Characters of a value in a cell; the whole row is a click away. */
const MAX_CELL = 600

/** Rows as a search gives them: a table, or the raw events. One that is opened shows all that it has. `slotField` is a column of RFC 3339 that the page has put in. */
export function Rows ({ label, fields, rows, as = 'table', slotField = null }: { label: string, fields: readonly string[], rows: readonly Row[], as?: 'table' | 'events', slotField?: string | null }) {
  const [cursor, setCursor] = useState(-1)
  const [isOpen, setOpen] = useState(false)
  const isTall = as === 'table' && rows.length <= MAX_TALL && fields.length <= 20
  const numbered = useMemo(() => rows.map((row, n) => ({ row, n })), [rows])
  const columns = useMemo(() => as === 'events' ? EVENT_COLUMNS : fields.map(field => field === slotField ? slotColumn(field) : columnOf(field, rows, isTall, fields.length)), [fields, rows, isTall, as, slotField])
  const open = (n: number) => { setCursor(n); setOpen(true) }
  useKeys('Rows', [
    { keys: 'j', label: 'Next row', run: () => setCursor(Math.min(rows.length - 1, cursor + 1)) },
    { keys: 'k', label: 'Row before', run: () => setCursor(Math.max(0, cursor - 1)) },
    { keys: 'Enter', label: 'Open the row', run: () => { if (cursor >= 0) setOpen(true) } },
  ])
  const shown = rows[cursor]
  return (
    <div class={`rows${isTall ? ' tall' : ''}`}>
      <DataTable
        label={label} columns={columns} rows={numbered} rowKey={({ n }) => String(n)} cursor={cursor < 0 ? null : String(cursor)} onOpen={({ n }) => open(n)}
        {...isTall ? {} : { rowHeight: { table: 30, card: 16 + 27 * Math.min(columns.length, 80) } }}
      />
      {isOpen && shown !== undefined && <RowDialog row={shown} onClose={() => setOpen(false)} />}
    </div>
  )
}

interface Numbered { readonly row: Row, readonly n: number }

const EVENT_COLUMNS: readonly Column<Numbered>[] = [
  { key: '_time', title: 'Time', width: '14rem', render: ({ row }) => <Cell value={row._time} field='_time' /> },
  { key: '_raw', title: 'Event', cardLabel: '', render: ({ row }) => <Cell value={row._raw ?? row} field='_raw' /> },
]

const slotColumn = (field: string): Column<Numbered> => ({ key: '_time', title: 'slot', width: '12rem', render: ({ row }) => <Time at={String(row[field])} relative='none' precision='minutes' /> })

/** Values are aligned by what the column has. */
function columnOf (field: string, rows: readonly Row[], isTall: boolean, count: number): Column<Numbered> {
  const values = rows.slice(0, MAX_TALL).map(row => row[field]).filter(value => value !== undefined)
  const isNumber = field !== '_time' && values.length > 0 && values.every(value => typeof value === 'number')
  return {
    key: field, title: field === '' ? '(no name)' : field, align: isNumber ? 'right' : 'left',
    ...isTall || count < 5 ? {} : { width: field === '_raw' ? '40rem' : field === '_time' ? '14rem' : isNumber ? '8rem' : '13rem' },
    render: ({ row }) => <Cell value={row[field]} field={field} isTall={isTall} />,
  }
}

function Cell ({ value, field, isTall = false }: { value: unknown, field: string, isTall?: boolean }) {
  const { zone } = usePreferences()
  if (value === undefined || value === null) return <span class='muted' aria-label='no value'>–</span>
  if (field === '_time' && typeof value === 'number') return <time class='number'>{timeText(value * 1000, zone, Number.isInteger(value) ? 'seconds' : 'milliseconds')}</time>
  if (Array.isArray(value)) {
    if (!isTall) return <span class='values'>{value.slice(0, MAX_VALUES).map((one, n) => <span key={n} class='one-value'><Visible text={textOf(one)} /></span>)}</span>
    return (
      <ul class='values'>
        {value.slice(0, MAX_VALUES).map((one, n) => <li key={n}><Visible text={textOf(one)} /></li>)}
        {value.length > MAX_VALUES && <li class='muted'>and {(value.length - MAX_VALUES).toLocaleString('en')} more</li>}
      </ul>
    )
  }
  return <Visible text={textOf(value)} />
}

function textOf (value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? ''
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL)}…` : text
}

function RowDialog ({ row, onClose }: { row: Row, onClose: () => void }) {
  const { _raw: raw, ...rest } = row
  const event = typeof raw === 'string' ? parsed(raw) : undefined
  return (
    <Dialog title={raw === undefined ? 'Row' : 'Event'} size='large' onClose={onClose}>
      {raw !== undefined && (event === undefined ? <Code text={String(raw)} label='the raw event' wrap /> : <Json value={event} label='the event' />)}
      {raw !== undefined && <h3>Fields</h3>}
      <Json value={rest} label={raw === undefined ? 'the row' : 'the fields'} />
    </Dialog>
  )
}

function parsed (raw: string): unknown {
  try {
    return JSON.parse(raw) as unknown
  } catch {
    return undefined
  }
}
