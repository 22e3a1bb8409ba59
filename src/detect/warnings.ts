import type { Detection } from '../detection.js'
import type { Window } from '../event.js'
import { toRfc3339 } from '../event.js'
import type { Expr, Search, Span, Stage } from '../spl/ast.js'
import type { CompiledDefinition } from './definition.js'
import { messageFields } from './findings.js'
import type { Place, Problem } from './place.js'
import { START } from './place.js'
import type { ReadDetection } from './security-content.js'

interface Written extends Pick<ReadDetection, 'places'> {
  readonly detection: Detection
  readonly placeInSearch: (offset: number) => Place
}

/** What of a detection that runs may not be what its author means. `search` is the one that was written, macros and all. */
export function findWarnings ({ detection, placeInSearch, places }: Written, search: Search, compiled: CompiledDefinition, samples: SlotSamples): Problem[] {
  const { risk = START, schedule = START, throttling = START } = places
  return [
    ...search.warnings.map(text => placeWarning(text, detection.search, placeInSearch)),
    ...zeroDurations(search.stages).map(({ span, message }) => ({ ...placeInSearch(span.start), message: `search: ${message}` })),
    ...missingFields(detection, compiled).map(message => ({ ...risk, message })),
    ...missingThrottlingFields(detection, compiled).map(message => ({ ...throttling, message })),
    ...windowWarnings(samples(compiled), compiled.plan.binSeconds).map(message => ({ ...schedule, message })),
  ]
}

/** Warnings of the parser have the form of an SplError's message, with their place in the search before them. */
function placeWarning (text: string, search: string, placeInSearch: Written['placeInSearch']): Problem {
  const [, line = '1', column = '1', detail = text] = /^(\d+):(\d+): (.*)/.exec(text) ?? []
  const offset = search.split('\n').slice(0, Number(line) - 1).reduce((length, one) => length + one.length + 1, Number(column) - 1)
  return { ...placeInSearch(offset), message: `search: ${text}`, detail: `search: ${detail}` }
}

/** Fields that the risk block names and the rows have not, where the search says what they have. */
function missingFields ({ risk }: Detection, { plan: { columns } }: CompiledDefinition): string[] {
  if (risk === null || columns === null) return []
  const isMissing = (field: string) => !columns.includes(field)
  return [
    ...messageFields(risk).filter(isMissing).map(field => `the message has $${field}$, but rows of the search have no such field`),
    ...risk.risk_objects.map(({ field }) => field).filter(isMissing).map(field => `the risk object ${field} is no field of the search's rows: no finding has it`),
    ...risk.threat_objects.map(({ field }) => field).filter(isMissing).map(field => `the threat object ${field} is no field of the search's rows: no finding has it`),
  ]
}

/** All findings have the same of such a field, so each throttles all others. */
function missingThrottlingFields ({ throttling }: Detection, { plan: { columns } }: CompiledDefinition): string[] {
  if (throttling === null || columns === null) return []
  return throttling.fields.filter(field => !columns.includes(field)).map(field => `findings are throttled by ${field}, which is no field of the search's rows: it tells none of them apart`)
}

/** Of one value they all give that value. */
const OF_ONE_VALUE: ReadonlySet<string> = new Set(['min', 'max', 'earliest', 'latest', 'first', 'last'])

/** Differences of two times that are both the start of the row's bin: `bin` has replaced `_time`, and the rows are grouped by it (R20). */
function zeroDurations (stages: readonly Stage[]): { span: Span, message: string }[] {
  const found: { span: Span, message: string }[] = []
  let isBinned = false
  let starts = new Set<string>()
  const look = (expr: Expr) => {
    for (const { left, right, span } of differences(expr)) {
      if (left !== right && starts.has(left) && starts.has(right)) {
        found.push({ span, message: `${left} - ${right} is always 0: bin has replaced _time, so both are the start of the bin; take a copy before it (eval event_time=_time)` })
      }
    }
  }
  for (const stage of stages) {
    switch (stage.kind) {
      case 'bin':
        if (stage.field === '_time' && stage.as === '_time') isBinned = true
        break
      case 'stats':
        isBinned &&= stage.by.includes('_time')
        starts = new Set(isBinned ? ['_time', ...stage.aggregates.filter(one => one.field === '_time' && OF_ONE_VALUE.has(one.function)).map(({ as }) => as)] : [])
        break
      case 'where':
        look(stage.expr)
        break
      case 'eval':
        for (const { field, expr } of stage.assignments) {
          look(expr)
          starts.delete(field)
          if (field === '_time') isBinned = false
        }
        break
      case 'convert':
        for (const { as } of stage.conversions) starts.delete(as)
        break
      case 'eventstats':
        for (const { as } of stage.aggregates) starts.delete(as)
        break
      case 'rename':
        for (const { field, as } of stage.renames) {
          const isStart = starts.delete(field)
          starts.delete(as)
          if (isStart) starts.add(as)
        }
    }
  }
  return found
}

/** The subtractions of one field from another within an expression. */
function differences (expr: Expr): { left: string, right: string, span: Span }[] {
  switch (expr.kind) {
    case 'unary': return differences(expr.operand)
    case 'call': return expr.args.flatMap(differences)
    case 'binary': {
      const { left, right, span } = expr
      if (expr.op === '-' && left.kind === 'field' && right.kind === 'field') return [{ left: left.name, right: right.name, span }]
      return [left, right].flatMap(differences)
    }
    default: return []
  }
}

interface SlotWindow { readonly slotMs: number, readonly window: Window }

/** So many slots are looked at, from a fixed time on: the same file always has the same warnings. */
const SLOTS = 200
const FROM_MS = Date.parse('2026-01-01T00:00:00Z')
const YEAR_MS = 366 * 86_400_000

/** Gives slots of a definition with their windows; worked out once for each schedule, as thousands of detections may share it. */
export function openSlotSamples () {
  const known = new Map<string, readonly SlotWindow[]>()
  return (compiled: CompiledDefinition): readonly SlotWindow[] => {
    const { schedule: { cron, earliest, latest }, time_zone: timeZone } = compiled.definition
    const key = JSON.stringify([cron, earliest, latest, timeZone])
    const samples = known.get(key) ?? sampleSlots(compiled)
    known.set(key, samples)
    return samples
  }
}
export type SlotSamples = ReturnType<typeof openSlotSamples>

function sampleSlots ({ nextSlot, windowOf }: CompiledDefinition): SlotWindow[] {
  const slots: SlotWindow[] = []
  for (let slotMs = nextSlot(FROM_MS); slots.length < 2 || (slots.length < SLOTS && slotMs < FROM_MS + YEAR_MS); slotMs = nextSlot(slotMs)) {
    slots.push({ slotMs, window: windowOf(slotMs) })
  }
  return slots
}

/** Windows that leave time out, that overlap, that cut a bin in two (R82, R83): the first of each. */
function windowWarnings (slots: readonly SlotWindow[], binSeconds: number | null): string[] {
  const found = new Map<'gap' | 'overlap' | 'cut', string>()
  const note = (kind: 'gap' | 'overlap' | 'cut', message: string) => { if (!found.has(kind)) found.set(kind, message) }
  slots.forEach(({ slotMs, window }, i) => {
    const cutUs = binSeconds === null ? undefined : [window.earliestUs, window.latestUs].find(edgeUs => edgeUs % (binSeconds * 1_000_000) !== 0)
    if (cutUs !== undefined) note('cut', `the window of the slot ${timeOf(slotMs)} cuts a bin of ${spanOf(binSeconds!)} in two, at ${timeOf(cutUs / 1000)}: its halves are judged apart`)
    const next = slots[i + 1]
    if (next === undefined) return
    const seconds = (next.window.earliestUs - window.latestUs) / 1_000_000
    if (seconds > 0) note('gap', `between the windows of the slots ${timeOf(slotMs)} and ${timeOf(next.slotMs)} are ${spanOf(seconds)} that no run looks at`)
    if (seconds < 0) note('overlap', `the windows of the slots ${timeOf(slotMs)} and ${timeOf(next.slotMs)} overlap by ${spanOf(-seconds)}, which both runs look at`)
  })
  return [...found.values()]
}

function timeOf (ms: number): string {
  return toRfc3339(ms * 1000).replace('.000Z', 'Z')
}

function spanOf (seconds: number): string {
  for (const [unit, size] of [['d', 86_400], ['h', 3600], ['m', 60]] as const) if (seconds % size === 0) return `${seconds / size}${unit}`
  return `${seconds}s`
}
