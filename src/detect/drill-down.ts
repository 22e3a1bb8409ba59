import type { z } from 'zod'
import type { Detection } from '../detection.js'
import type { Value, Window } from '../event.js'
import { ALL_TIME, toMicroseconds, toRfc3339 } from '../event.js'
import type { DrillDown, FindingBody, FindingDetail } from '../finding.js'
import type { Expr, Predicate } from '../spl/ast.js'
import { SplError } from '../spl/errors.js'
import { MAX_TEXT } from '../spl/macro.js'
import type { SearchPlan } from '../spl/plan.js'
import { contributingPredicate } from '../spl/plan.js'
import { andTerms } from '../spl/predicate.js'
import { printStages, quoteText } from '../spl/print.js'
import type { Row } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'
import type { PackedEvidence } from '../store/control/findings.js'
import { unpackEvents } from '../store/control/findings.js'
import { binOfRow } from './evidence.js'

const NOWHERE = { start: 0, end: 0 }

/** Of a longer event its time and what the search asks for have to do. */
const MAX_RAW = 20_000

/** The search that lists the events behind a row; null where there are none, or it would be too long to be run. */
export function toDrillDown (plan: SearchPlan, row: Row, window: Window, evidence: PackedEvidence): DrillDown | null {
  const { predicate } = contributingPredicate(plan, row.origin)
  if (plan.identity.kind !== 'event') return toSearch(predicate, exactTerms(predicate), binOfRow(plan, row, window))
  const [event] = unpackEvents(evidence.events)
  if (event === undefined) return null
  const timeUs = toMicroseconds(event.time)
  const isRaw: Expr[] = event.raw.length > MAX_RAW ? [] : [equals('_raw', event.raw.toWellFormed())]
  return toSearch(predicate, isRaw, { earliestUs: timeUs, latestUs: timeUs + 1 })
}

function toSearch (predicate: Predicate, exactly: readonly Expr[], { earliestUs, latestUs }: Window): DrillDown | null {
  const filters = exactly.map(expr => ({ kind: 'where', expr, span: NOWHERE }) as const)
  const search = printStages([{ kind: 'search', predicate, span: NOWHERE }, ...filters])
  return search.length > MAX_TEXT ? null : { search, earliest: toRfc3339(earliestUs), latest: toRfc3339(latestUs) }
}

/** A search compares without regard to case, and takes `*` for anything: what tells rows apart is asked for again, to the letter. */
function exactTerms (predicate: Predicate): Expr[] {
  return andTerms(predicate).flatMap(term => {
    if (term.kind === 'is') return isQuotable(term.field) ? [equals(term.field, toText(term.value))] : []
    const own = term.kind === 'or' ? term.terms.find(one => one.kind === 'is') : undefined // or none, where fillnull stands for it
    if (own === undefined || !isQuotable(own.field)) return []
    const isMissing: Expr = { kind: 'call', name: 'isnull', args: [{ kind: 'field', name: own.field, span: NOWHERE }], span: NOWHERE }
    return [{ kind: 'binary', op: 'OR', left: equals(own.field, toText(own.value)), right: isMissing, span: NOWHERE }]
  })
}

/** Expressions have no way to write other names. */
function isQuotable (field: string): boolean {
  return !/["`]/.test(field)
}

function equals (field: string, value: string): Expr {
  return { kind: 'binary', op: '=', left: { kind: 'field', name: field, span: NOWHERE }, right: { kind: 'string', value, span: NOWHERE }, span: NOWHERE }
}

/** A drilldown search of a detection file for one finding. */
export type FilledDrilldown = z.infer<typeof FindingDetail>['drilldown_searches'][number]

/** The drilldown searches of a detection, for the row of a finding. `check` throws SplError for what Hecate can't run. */
export function fillDrilldowns ({ drilldown_searches: drilldowns, search: own }: Pick<Detection, 'drilldown_searches' | 'search'>, { result, time, window }: FindingBody, check: (search: string) => void): FilledDrilldown[] {
  const row = result as Readonly<Record<string, Value>>
  const valuesOf = (field: string): readonly string[] => {
    const known = { info_min_time: window.earliest, info_max_time: window.latest }[field]
    if (known !== undefined) return [String(Date.parse(known) / 1000)]
    return Object.hasOwn(row, field) ? toScalars(row[field]).map(toText) : []
  }
  return drilldowns.map(({ name, search: template, earliest_offset: before, latest_offset: after }) => {
    const missing = new Set<string>()
    // In one go: nothing that a value says is a token.
    const search = template.split('%original_detection_search%').map(part => fillTokens(part, valuesOf, missing)).join(own)
    return {
      name: fillName(name, valuesOf),
      search,
      earliest: boundOf(before, -1) ?? window.earliest,
      latest: boundOf(after, 1) ?? window.latest,
      missing: [...missing],
      error: errorOf(search, check),
    }
  })

  /** A span before or behind the time of the finding; null for the window's own border, and for what isn't a span. */
  function boundOf (offset: string | null, sign: number): string | null {
    const [, count = '', unit = 's'] = /^(\d{1,9})([smhdw]?)$/.exec(offset ?? '') ?? []
    if (count === '') return null
    const spanUs = Number(count) * SECONDS[unit || 's']! * 1_000_000
    return toRfc3339(Math.min(Math.max(toMicroseconds(time) + sign * spanUs, ALL_TIME.earliestUs), ALL_TIME.latestUs))
  }
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }

/** `$field$`, and `$field|s$` for a value in quotes. */
const TOKEN = /\$([^$\s|"']{1,200})(\|s)?\$/g

/** Text in double quotes, with a comparison before it where there is one; what is between. */
const PARTS = /((?:[!<>]=|==?|[<>])\s*)?"((?:[^"\\]|\\.)*)"|[^"=!<>]+|["=!<>]/gs

/**
 * Values are text in quotes, whatever they hold. Of several values `field="$x$"` asks for any; where they stand in a list they are more members of it; elsewhere,
 * as for fields that the row lacks, the token stays.
 */
function fillTokens (template: string, valuesOf: (field: string) => readonly string[], missing: Set<string>): string {
  const quotedList = (field: string, equals: string | undefined): string | null => {
    const values = valuesOf(field)
    if (values.length === 0 || (values.length > 1 && equals !== undefined && !/^==?\s*$/.test(equals))) return null
    const list = values.map(quoteText).join(', ')
    return equals === undefined ? list : values.length === 1 ? equals + list : ` IN (${list})`
  }
  return template.replace(PARTS, (part: string, equals: string | undefined, quoted: string | undefined) => {
    if (quoted === undefined) {
      return part.replace(TOKEN, (token, field: string) => quotedList(field, undefined) ?? keep(token, field))
    }
    const [, whole] = /^\$([^$\s|"']{1,200})(?:\|s)?\$$/.exec(quoted) ?? []
    if (whole !== undefined) return quotedList(whole, equals) ?? keep(part, whole)
    return `${equals ?? ''}"${quoted.replace(TOKEN, (token, field: string) => {
      const values = valuesOf(field)
      return values.length === 1 ? quoteText(values[0]!).slice(1, -1) : keep(token, field)
    })}"`
  })

  function keep (token: string, field: string): string {
    missing.add(field)
    return token
  }
}

function fillName (name: string, valuesOf: (field: string) => readonly string[]): string {
  return name.replace(TOKEN, (token, field: string) => valuesOf(field).join(', ').slice(0, MAX_NAME) || token).slice(0, MAX_NAME)
}

const MAX_NAME = 1_000

function errorOf (search: string, check: (search: string) => void): string | null {
  try {
    check(search)
    return null
  } catch (error) {
    if (error instanceof SplError) return error.detail
    throw error
  }
}
