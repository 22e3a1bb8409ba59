import { DetectionView, Preview, RowEvents, Slot } from '../api/detections.js'
import { pageOf } from '../api/query.js'
import type { Value } from '../event.js'
import { parseTimeText } from '../spl/time-modifier.js'
import { toScalars, toText } from '../spl/value.js'
import type { ApiClient } from './api-client.js'
import type { ComparedSlot, Explained } from './compare-reasons.js'
import { explain } from './compare-reasons.js'
import type { Pairing, Side } from './compare-rows.js'
import { distinctRows, pairRows, toCompared } from './compare-rows.js'
import type { SplunkCsv, SplunkRow } from './splunk-csv.js'

/** A row as the API has it: a multivalue is a list, a null field is left out. */
type JsonRow = Readonly<Record<string, Value>>

/** A row of ours, with the first slot that gave it. */
interface HereRow { readonly row: JsonRow, readonly slot: ListedSlot }

interface Range { readonly earliest: string, readonly latest: string }
interface ListedSlot extends ComparedSlot { readonly range: Range }

/** A row that is not the same on both sides. */
export interface Difference extends Explained {
  readonly result: 'different' | 'only_there' | 'only_here'
  readonly scheduled_time: string | null
  readonly key: JsonRow
  /** The columns whose values differ, of a row that is on both sides; null is no value. */
  readonly fields: readonly { readonly field: string, readonly there: Value | null, readonly here: Value | null }[]
  readonly there: JsonRow | null
  readonly here: JsonRow | null
}

export interface Comparison extends Range {
  readonly detection: string
  readonly slots: number
  readonly counts: Readonly<Record<Pairing<unknown, unknown>['result'], number>>
  /** Rows that are equal to another of their side in all that is compared; they count once. */
  readonly repeated: { readonly there: number, readonly here: number }
  readonly key: readonly string[]
  readonly columns: { readonly compared: readonly string[], readonly only_there: readonly string[], readonly only_here: readonly string[] }
  readonly differences: readonly Difference[]
}

/** Nothing to compare by. */
export class NoCommonColumnError extends Error {
  override name = 'NoCommonColumnError'
}

/** Splunk's rows beside those that a running server gives for every slot whose window lies in the range. Throws ApiError. */
export async function compareRows (api: ApiClient, id: string, range: Range, csv: SplunkCsv): Promise<Comparison> {
  const path = `detections/${encodeURIComponent(id)}`
  const detection = await api.call(DetectionView, path)
  const { slots, resolved } = await readSlots(api, path, range)
  const ours = await readOurs(api, path, slots)
  const columns = columnsOf(csv, ours.columns)
  const { compared } = columns
  const fields = detection.key_fields
  const key = fields !== null && fields.length > 0 && fields.every(field => compared.includes(field)) ? fields : compared

  const there = csv.rows.map((of): Side<SplunkRow> => ({ of, cells: new Map([...of].map(([column, values]) => [column, toCompared(values)])) }))
  const here = ours.rows.map((of): Side<HereRow> => ({ of, cells: new Map([...textsOf(of.row)].map(([column, values]) => [column, toCompared(values)])) }))
  const pairs = pairRows(there, here, compared, key)
  const counts = { same: 0, different: 0, only_there: 0, only_here: 0 }
  for (const { result } of pairs) counts[result]++

  const look = { api, path, slots, key, keyFields: fields, binSeconds: detection.bin_seconds, range: resolved }
  const differences: Difference[] = []
  for (const pair of pairs) if (pair.result !== 'same') differences.push(await toDifference(pair, look))
  return {
    detection: detection.id,
    ...resolved,
    slots: slots.length,
    counts,
    repeated: { there: there.length - distinctRows(there, compared).length, here: here.length - distinctRows(here, compared).length },
    key,
    columns,
    differences,
  }
}

/** The slots of the range, and the range as times: relative ones mean the same for all pages. */
async function readSlots (api: ApiClient, path: string, range: Range): Promise<{ slots: ListedSlot[], resolved: Range }> {
  const slots: ListedSlot[] = []
  let resolved = range
  for (let cursor: string | null = null; ;) {
    const query = new URLSearchParams({ ...resolved, limit: '1000', ...(cursor === null ? {} : { cursor }) })
    const page: { items: { scheduled_time: string, window: Range }[], next_cursor: string | null, earliest?: string | undefined, latest?: string | undefined } =
      await api.call(pageOf(Slot), `${path}/slots?${query.toString()}`)
    for (const { scheduled_time: time, window } of page.items) {
      slots.push({ slotMs: Date.parse(time), range: window, window: { earliestUs: toUs(window.earliest), latestUs: toUs(window.latest) } })
    }
    resolved = { earliest: page.earliest ?? range.earliest, latest: page.latest ?? range.latest }
    cursor = page.next_cursor
    if (cursor === null) return { slots, resolved }
  }
}

/** A time of a reply. */
function toUs (text: string): number {
  return parseTimeText(text, 0, 'UTC')!
}

async function readOurs (api: ApiClient, path: string, slots: readonly ListedSlot[]): Promise<{ rows: HereRow[], columns: string[] }> {
  const rows: HereRow[] = []
  const columns = new Set<string>()
  for (const slot of slots) {
    const preview = await api.call(Preview, `${path}/preview`, { scheduled_time: slot.slotMs / 1000 })
    for (const column of preview.fields) columns.add(column)
    for (const row of preview.rows) rows.push({ row: row as JsonRow, slot })
  }
  return { rows, columns: [...columns] }
}

/** Those that both sides have are compared. Where we have no slot, and so no columns, all of Splunk's are. */
function columnsOf (csv: SplunkCsv, ours: readonly string[]): Comparison['columns'] {
  const here = ours.filter(column => !column.startsWith('_') || column === '_time' || column === '_raw')
  if (here.length === 0) return { compared: csv.columns, only_there: [], only_here: [] }
  const compared = csv.columns.filter(column => here.includes(column))
  if (compared.length === 0) throw new NoCommonColumnError(`no column is on both sides; there: ${csv.columns.join(' ')}; here: ${here.join(' ')}`)
  return { compared, only_there: csv.columns.filter(column => !compared.includes(column)), only_here: here.filter(column => !compared.includes(column)) }
}

interface Look {
  readonly api: ApiClient
  readonly path: string
  readonly slots: readonly ListedSlot[]
  readonly key: readonly string[]
  readonly keyFields: readonly string[] | null
  readonly binSeconds: number | null
  readonly range: Range
}

async function toDifference (pair: Exclude<Pairing<SplunkRow, HereRow>, { result: 'same' }>, { api, path, slots, key, keyFields, binSeconds, range }: Look): Promise<Difference> {
  const there = pair.result === 'only_here' ? null : pair.there
  const here = pair.result === 'only_there' ? null : pair.here
  const texts = here === null ? there! : textsOf(here.row)
  const time = timeOf(texts.get('_time'))
  const slot = here?.slot ?? slots.find(({ window: { earliestUs, latestUs } }) => time !== null && earliestUs <= time * 1_000_000 && time * 1_000_000 < latestUs) ?? null
  const rowKey = toRowKey(texts, time, keyFields)
  const explained = await explain({ result: pair.result, isCaseOnly: pair.isCaseOnly, time, slot }, binSeconds, async () => rowKey === null
    ? null
    : api.call(RowEvents, `${path}/row-events`, { key: rowKey, ...(slot?.range ?? range) }))
  return {
    result: pair.result,
    ...explained,
    scheduled_time: slot === null ? null : new Date(slot.slotMs).toISOString(),
    key: toJson(texts, key),
    fields: pair.result !== 'different' ? [] : pair.columns.map(field => ({ field, there: toValue(there!.get(field)), here: toValue(texts.get(field)) })),
    there: there === null ? null : toJson(there, [...there.keys()]),
    here: here?.row ?? null,
  }
}

/** The values that say which events are behind a row; null where it has not all of them. */
function toRowKey (texts: SplunkRow, time: number | null, keyFields: readonly string[] | null): Record<string, string | number> | null {
  const key: [string, string | number][] = []
  for (const field of keyFields ?? ['_time']) {
    const values = texts.get(field) ?? []
    if (field === '_time' ? time === null : values.length !== 1) return null
    key.push([field, field === '_time' ? time! : values[0]!])
  }
  return Object.fromEntries(key)
}

function textsOf (row: JsonRow): SplunkRow {
  return new Map(Object.entries(row).map(([column, value]) => [column, toScalars(value).map(toText)]))
}

/** Epoch seconds. */
function timeOf (values: readonly string[] | undefined): number | null {
  const [text, ...others] = toCompared(values ?? [])
  const time = text === undefined || others.length > 0 ? NaN : Number(text)
  return Number.isFinite(time) ? time : null
}

function toValue (values: readonly string[] | undefined): Value | null {
  return values === undefined || values.length === 0 ? null : values.length === 1 ? values[0]! : values
}

function toJson (texts: SplunkRow, columns: readonly string[]): JsonRow {
  return Object.fromEntries(columns.flatMap(column => texts.has(column) ? [[column, toValue(texts.get(column))!]] : []))
}
