import { createHash } from 'node:crypto'
import type { Definition } from '../detection.js'
import type { Window } from '../event.js'
import { parseCron } from '../schedule/cron.js'
import { parseTimeModifier } from '../spl/time-modifier.js'
import type { LookupTable } from '../spl/lookup.js'
import type { SearchPlan } from '../spl/plan.js'
import { compileSearch } from './search.js'

/** A schedule, ready to be asked. */
export interface CompiledSchedule {
  /** The slot after a time; epoch milliseconds. */
  readonly nextSlot: (afterMs: number) => number
  /** The window of a slot, from the slot alone. */
  readonly windowOf: (slotMs: number) => Window
  /** Equal where slots and windows are. */
  readonly scheduleText: string
}

/** A definition, ready to run. */
export interface CompiledDefinition extends CompiledSchedule {
  readonly hash: string
  readonly definition: Definition
  readonly plan: SearchPlan
}

/** A schedule that is none: an unknown cron expression or time modifier, or a window that ends before it begins. */
export class ScheduleError extends Error {
  override name = 'ScheduleError'
}

/** Gives the lookup of a hash. */
export type LookupOf = (hash: string) => LookupTable

/** Throws SplError for the search and ScheduleError for the schedule. */
export function compileDefinition (definition: Definition, lookupOf: LookupOf): CompiledDefinition {
  const schedule = compileSchedule(definition)
  const plan = compileSearch(definition.search, new Map(), {
    dataModels: new Map(Object.entries(definition.data_models)),
    lookups: new Map(Object.entries(definition.lookups).map(([name, hash]) => [name, lookupOf(hash)])),
  })
  return { hash: hashOf(definition), definition, plan, ...schedule }
}

/** Throws ScheduleError. */
export function compileSchedule ({ schedule: { cron, earliest, latest }, time_zone: timeZone }: Pick<Definition, 'schedule' | 'time_zone'>): CompiledSchedule {
  const nextSlot = parseCron(cron, timeZone)
  if (nextSlot === null) throw new ScheduleError(`"${cron}" is no cron expression of five fields that ever comes due`)
  const windowOf = (slotMs: number): Window => ({
    earliestUs: modified('earliest', earliest, slotMs, timeZone) * 1000,
    latestUs: modified('latest', latest, slotMs, timeZone) * 1000,
  })
  const sample = windowOf(nextSlot(0))
  if (sample.earliestUs >= sample.latestUs) throw new ScheduleError(`the window from ${earliest} to ${latest} holds no time`)
  return { nextSlot: rememberLast(nextSlot), windowOf: rememberLast(windowOf), scheduleText: JSON.stringify([cron, earliest, latest, timeZone]) }
}

/** The ledger asks the same again and again, and time zones are slow: 0.2 ms a slot. */
function rememberLast<T> (of: (ms: number) => T): (ms: number) => T {
  let last: { readonly ms: number, readonly value: T } | null = null
  return ms => {
    if (last?.ms !== ms) last = { ms, value: of(ms) }
    return last.value
  }
}

/** SHA-256 of the definition's JSON, whose members are always in one order. */
export function hashOf ({ detection_id, name, version, type, search, data_models, lookups, schedule, time_zone, risk, mitre_attack, throttling }: Definition): string {
  const { cron, earliest, latest } = schedule
  const known = [data_models, lookups, throttling ?? {}].filter(one => Object.keys(one).length > 0) // without any it is the hash of before they were there
  return createHash('sha256')
    .update(JSON.stringify([detection_id, name, version, type, search, cron, earliest, latest, time_zone, risk, mitre_attack, ...known]))
    .digest('hex')
}

function modified (name: string, text: string, slotMs: number, timeZone: string): number {
  const time = parseTimeModifier(text, slotMs, timeZone)
  if (time === null) throw new ScheduleError(`${name} "${text}" is no time modifier`)
  return time
}
