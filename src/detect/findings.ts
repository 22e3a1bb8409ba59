import { createHash } from 'node:crypto'
import type { Definition } from '../detection.js'
import type { Window } from '../event.js'
import { toMicroseconds, toRfc3339, toSeconds } from '../event.js'
import type { FindingBody, RiskObjectValue } from '../finding.js'
import { severityOf } from '../finding.js'
import type { Identity, SearchPlan } from '../spl/plan.js'
import type { Row, Scalar, Value } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'

/** A row as a finding, before it is known whether there is one already. */
export interface RowFinding { readonly id: string, readonly body: FindingBody, readonly row: Row }

/** A row is kept up to that many bytes of JSON. */
const MAX_ROW_BYTES = 1 << 20

/** What a run says of each of its rows; `twins` counts the rows whose key another row of the run has too. */
export function toFindings (definition: Definition, plan: SearchPlan, rows: readonly Row[], slotMs: number, window: Window): { findings: RowFinding[], twins: number } {
  const seen = new Map<string, number>()
  let twins = 0
  const findings = rows.map((row): RowFinding => {
    const key = keyOf(plan, row, slotMs, window)
    const ordinal = seen.get(key) ?? 0
    seen.set(key, ordinal + 1)
    if (ordinal > 0) twins++
    return { id: idOf(definition.detection_id, key, ordinal), body: bodyOf(definition, row, slotMs, window), row }
  })
  return { findings, twins }
}

/**
 * What makes a row of a later run the same finding: the event, or the BY values of the last stats. The slot is part of it
 * where the row has no time that it was grouped by, where there is no BY, and where the window cuts the row's bin, so that its halves are apart.
 */
function keyOf ({ identity, binSeconds }: SearchPlan, row: Row, slotMs: number, window: Window): string {
  if (identity.kind === 'event') return JSON.stringify(['event', row.origin.map(textOf)])
  const time = row.values.get('_time')
  const needsSlot = !isGroupedByTime(identity) || typeof time !== 'number' || (binSeconds !== null && isCut(time, binSeconds, window))
  return JSON.stringify(['by', row.origin.map(textOf), ...(needsSlot ? [slotMs] : [])])
}

function isGroupedByTime (identity: Identity): boolean {
  return identity.kind === 'by' && identity.fields.some(({ name }) => name === '_time')
}

function isCut (time: number, binSeconds: number, { earliestUs, latestUs }: Window): boolean {
  const startUs = toMicroseconds(time)
  return startUs < earliestUs || startUs + toMicroseconds(binSeconds) > latestUs
}

const DAY_SECONDS = 86_400

/** Whether rows have a time that they were grouped by, as far as the plan can tell: it is in their key where the slot is not. */
function isTimed ({ identity, columns }: SearchPlan): boolean {
  return isGroupedByTime(identity) && columns?.includes('_time') !== false
}

/**
 * Of a slot's window, the part whose rows are the same findings in any window, so that the newest slot speaks for all, and the parts whose rows have the slot in their key. Bins of days
 * begin at a midnight that isn't known here: with them both may be said of a part.
 */
export function partsOf (plan: SearchPlan, window: Window): { shared: Window | null, own: readonly Window[] } {
  const { identity, binSeconds } = plan
  if (identity.kind === 'event') return { shared: window, own: [] }
  if (!isTimed(plan)) return { shared: null, own: [window] }
  if (binSeconds === null) return { shared: window, own: [] }
  const { earliestUs, latestUs } = window
  const spanUs = toMicroseconds(binSeconds)
  const isOfDays = binSeconds % DAY_SECONDS === 0
  const firstUs = isOfDays ? earliestUs + spanUs : -floorTo(-earliestUs, spanUs)
  const lastUs = isOfDays ? latestUs - spanUs : floorTo(latestUs, spanUs)
  if (firstUs >= lastUs) return { shared: isOfDays ? window : null, own: [window] }
  const ends = [{ earliestUs, latestUs: firstUs }, { earliestUs: lastUs, latestUs }]
  return { shared: isOfDays ? window : { earliestUs: firstUs, latestUs: lastUs }, own: ends.filter(({ earliestUs, latestUs }) => earliestUs < latestUs) }
}

/**
 * Which findings a run over a window speaks for, beside those of its own slot: such as other windows have given too, whose rows hang on events that are all in this one. They are gone where it does
 * not give them. Null: for none.
 */
export function spokenForBy (plan: SearchPlan, window: Window): ((finding: FindingBody) => boolean) | null {
  const { isLocal, binSeconds } = plan
  if (!isLocal || !isTimed(plan)) return null
  const isWhole = ({ time }: FindingBody, within: Window) => binSeconds === null || !isCut(time, binSeconds, within)
  return finding => isWhole(finding, window) && isWhole(finding, { earliestUs: toMicroseconds(Date.parse(finding.window.earliest) / 1000), latestUs: toMicroseconds(Date.parse(finding.window.latest) / 1000) })
}

function floorTo (us: number, spanUs: number): number {
  return Math.floor(us / spanUs) * spanUs
}

/** Text tells values apart, as stats does (R33): 42 and "42" are one. */
export function textOf (value: Value): string | string[] {
  return typeof value === 'object' ? value.map(toText) : toText(value)
}

function idOf (detectionId: string, key: string, ordinal: number): string {
  return createHash('sha256').update(JSON.stringify([detectionId, key, ordinal])).digest('hex').slice(0, 32)
}

function bodyOf (definition: Definition, row: Row, slotMs: number, window: Window): FindingBody {
  const { risk } = definition
  const time = row.values.get('_time')
  const objects = risk === null ? [] : riskObjects(risk.risk_objects, row)
  const score = Math.max(0, ...objects.map(object => object.score))
  const { result, isCut } = toResult(row)
  return {
    detection: { id: definition.detection_id, name: definition.name, version: definition.version },
    time: typeof time === 'number' ? time : toSeconds(slotMs * 1000),
    result,
    ...(isCut ? { result_cut: true as const } : {}),
    risk: {
      score,
      message: risk === null ? null : fillMessage(risk.message, row),
      objects,
      threat_objects: risk === null
        ? []
        : risk.threat_objects.flatMap(({ field, type }) => toScalars(row.values.get(field)).map(value => ({ field, type, value: toText(value) }))),
    },
    severity: severityOf(score),
    mitre_attack: definition.mitre_attack,
    window: { earliest: toRfc3339(window.earliestUs), latest: toRfc3339(window.latestUs) },
  }
}

/** One per value of each risk object's field; none where the row has no value (R100). */
function riskObjects (objects: NonNullable<Definition['risk']>['risk_objects'], row: Row): RiskObjectValue[] {
  return objects.flatMap(({ field, type, score, message }) => toScalars(row.values.get(field)).map(value => ({
    field, type, value: toText(value), score, ...(message === undefined ? {} : { message: fillMessage(message, row) }),
  })))
}

const TOKEN = /\$([^$\s]+)\$/g

/** The fields that the messages of a risk block have places for, each once. */
export function messageFields ({ message, risk_objects: objects }: NonNullable<Definition['risk']>): string[] {
  const messages = [message, ...objects.flatMap(({ message }) => message ?? [])]
  return [...new Set(messages.flatMap(text => [...text.matchAll(TOKEN)].map(([, field]) => field!)))]
}

/** `$field$` becomes the row's value, of a multivalue all values on lines of their own; of a field that is not there it stays (R102). */
function fillMessage (message: string, { values }: Row): string {
  return message.replace(TOKEN, (token, field: string) => {
    const value = values.get(field)
    return value === undefined ? token : toScalars(value).map(toText).join('\n')
  })
}

/** The row as JSON has it; of a row that is too large, the fields and values that still fit. */
function toResult ({ values }: Row): { result: Record<string, Value>, isCut: boolean } {
  const result = rowToJson(values)
  if (JSON.stringify(result).length <= MAX_ROW_BYTES / 4) return { result, isCut: false } // bytes are at most four a character
  let left = MAX_ROW_BYTES
  let isCut = false
  const kept = new Map<string, Value>()
  for (const [field, value] of values) {
    const fitting: Scalar[] = []
    for (const scalar of toScalars(value)) {
      const bytes = Buffer.byteLength(JSON.stringify(scalar)) + 1
      if (bytes > left) isCut = true
      else {
        left -= bytes
        fitting.push(scalar)
      }
    }
    if (fitting.length > 0) kept.set(field, fitting.length === 1 ? fitting[0]! : fitting)
  }
  return { result: rowToJson(kept), isCut }
}

/** A row as JSON: a multivalue is an array, a null field is left out. Without a prototype, so that any name is a plain key. */
export function rowToJson (values: ReadonlyMap<string, Value>): Record<string, Value> {
  const json = Object.create(null) as Record<string, Value>
  for (const [field, value] of values) json[field] = value
  return json
}

/** The columns that the search names, else all that the rows have, in the order they come up. */
export function columnsOf ({ columns }: SearchPlan, rows: readonly Row[]): string[] {
  return [...columns ?? new Set(rows.flatMap(({ values }) => [...values.keys()]))]
}
