import { DateTime } from 'luxon'
import type { CoverageSlot } from '../api/coverage.js'

/** What a cell can show, the worst first: a cell of several slots shows the worst of them. */
const CELLS = [
  { name: 'missing', is: 'not in the ledger', char: '!', ascii: '!', colour: 31 },
  { name: 'failed', is: 'failed', char: '✗', ascii: 'x', colour: 31 },
  { name: 'owed', is: 'owed', char: '○', ascii: 'o', colour: 33 },
  { name: 'short', is: 'evaluated when events were gone', char: '◧', ascii: 's', colour: 35 },
  { name: 'waived', is: 'waived', char: '~', ascii: '~', colour: 35 },
  { name: 'again', is: 'evaluated, and again for late events', char: '▣', ascii: '+', colour: 32 },
  { name: 'done', is: 'evaluated', char: '■', ascii: '#', colour: 32 },
  { name: 'not_due', is: 'not due yet', char: '-', ascii: '-', colour: 2 },
  { name: 'not_kept', is: 'not kept: too old', char: '?', ascii: '?', colour: 2 },
  { name: 'none', is: 'no slot', char: '·', ascii: '.', colour: 2 },
] as const
const NONE = CELLS.length - 1
const NOT_KEPT = NONE - 1

/** What the terminal can show. */
export interface TerminalStyle { readonly width: number, readonly isUnicode: boolean, readonly isColoured: boolean }

const DAY_MINUTES = 1440
const WEEK_MINUTES = 7 * DAY_MINUTES
/** Minutes that a cell may stand for, so that all cells of a row are equal. */
const CELL_MINUTES = [1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, DAY_MINUTES] as const

/** More rows would be of weeks. */
const MAX_DAYS = 62

const LABEL = 'yyyy-MM-dd'
/** Times in the order of their text. */
const CELL_LABEL = `${LABEL} HH:mm`
const LABEL_WIDTH = LABEL.length + 2

/**
 * A calendar of slots by their scheduled times, in local time: rows of days or weeks, cells of one slot or several. Up to the time `keptAfter`, where one is given, a cell without
 * a slot says that there may have been one.
 */
export function openCalendar (timeZone: string, firstSlots: readonly CoverageSlot[], spanDays: number, { width, isUnicode, isColoured }: TerminalStyle, keptAfter: string | null = null) {
  const spacing = spacingOf(firstSlots)
  const unit = spanDays > MAX_DAYS || spacing >= DAY_MINUTES ? 'week' : 'day'
  const rowMinutes = unit === 'week' ? WEEK_MINUTES : DAY_MINUTES
  const cellMinutes = CELL_MINUTES.find(minutes => minutes >= spacing && rowMinutes / minutes <= width - LABEL_WIDTH) ?? DAY_MINUTES
  const columns = rowMinutes / cellMinutes
  const rows = new Map<string, number[]>()
  const used = new Set<number>()

  function add (slot: CoverageSlot): void {
    if (slot.origin === 'manual') return
    const time = DateTime.fromISO(slot.scheduled_time, { zone: timeZone })
    const start = time.startOf(unit)
    const key = start.toFormat(LABEL)
    const row = rows.get(key) ?? Array<number>(columns).fill(NONE)
    rows.set(key, row)
    const minute = (unit === 'week' ? (time.weekday - 1) * DAY_MINUTES : 0) + time.hour * 60 + time.minute
    const column = Math.floor(minute / cellMinutes)
    const cell = CELLS.findIndex(({ name }) => name === cellOf(slot))
    row[column] = Math.min(row[column]!, cell)
    used.add(cell)
  }

  const keptAfterText = keptAfter === null ? '' : DateTime.fromISO(keptAfter, { zone: timeZone }).toFormat(CELL_LABEL)
  /** Whether a cell begins no later than the newest slot that went; by local time, as it is shown. */
  function isGone (label: string, column: number): boolean {
    return keptAfter !== null && DateTime.fromFormat(label, LABEL, { zone: 'UTC' }).plus({ minutes: column * cellMinutes }).toFormat(CELL_LABEL) <= keptAfterText
  }

  function paint (cell: number): string {
    const { char, ascii, colour } = CELLS[cell]!
    const text = isUnicode ? char : ascii
    return isColoured ? `\u001b[${colour}m${text}\u001b[0m` : text
  }

  /** From the first row to the last, those too that have no slot. */
  function * labels (): Generator<string> {
    const keys = [...rows.keys()].sort()
    const last = keys.at(-1)
    if (last === undefined) return
    for (let day = DateTime.fromFormat(keys[0]!, LABEL, { zone: 'UTC' }); day.toFormat(LABEL) <= last; day = day.plus({ [`${unit}s`]: 1 })) yield day.toFormat(LABEL)
  }

  function heading (): string {
    const names = unit === 'week'
      ? ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].map((name, day) => ({ name, minute: day * DAY_MINUTES }))
      : ['00', '06', '12', '18'].map(name => ({ name, minute: Number(name) * 60 }))
    const apart = names[1]!.minute / cellMinutes
    return names.map(({ name }) => (apart > name.length ? name : name.slice(0, Math.max(1, apart - 1))).padEnd(apart)).join('').trimEnd()
  }

  return {
    add,
    /** Nothing where there was no slot. */
    toLines (): string[] {
      if (rows.size === 0) return []
      const empty = Array<number>(columns).fill(NONE)
      const lines: string[] = []
      for (const label of labels()) {
        const row = (rows.get(label) ?? empty).map((cell, column) => cell === NONE && isGone(label, column) ? NOT_KEPT : cell)
        if (row.includes(NOT_KEPT)) used.add(NOT_KEPT)
        if (row.includes(NONE)) used.add(NONE)
        lines.push(`${label}  ${row.map(paint).join('')}`)
      }
      return [`${' '.repeat(LABEL_WIDTH)}${heading()}`, ...lines, '', ...legend([...used].sort((a, b) => b - a))]
    },
  }

  function legend (cells: readonly number[]): string[] {
    return cells.map(cell => `  ${paint(cell)} ${CELLS[cell]!.is}`)
  }
}

function cellOf ({ state, short, late, evaluated }: CoverageSlot): typeof CELLS[number]['name'] {
  if (state !== 'failed' && evaluated) return short ? 'short' : late.evaluations > 0 ? 'again' : 'done'
  return state === 'running' || state === 'done' ? 'owed' : state
}

/** Minutes between the two slots that are nearest to each other. */
function spacingOf (slots: readonly CoverageSlot[]): number {
  const times = slots.filter(({ origin }) => origin !== 'manual').map(slot => Date.parse(slot.scheduled_time))
  return Math.max(1, Math.min(WEEK_MINUTES, ...times.slice(1).map((time, i) => (time - times[i]!) / 60_000)))
}
