import { Cron } from 'croner'

/** Five fields of digits and `* , - /`: Splunk's cron knows no names (spl-semantics.md R90). */
const FIVE_FIELDS = /^\s*[\d*,/-]+(?:\s+[\d*,/-]+){4}\s*$/

/** A cron expression as the question for the next slot after a time; epoch milliseconds, in the given zone. Null where the expression is none. */
export function parseCron (expression: string, timeZone: string): ((afterMs: number) => number) | null {
  if (expression.length > 200 || !FIVE_FIELDS.test(expression)) return null
  let cron: Cron
  try {
    cron = new Cron(expression.trim(), { timezone: timeZone, paused: true })
  } catch {
    return null
  }
  // A date that never comes (31 February) has no slots.
  if (cron.nextRun(new Date(0)) === null) return null
  return afterMs => {
    const next = cron.nextRun(new Date(afterMs))
    if (next === null) throw new Error(`no slot after ${afterMs} for ${expression}`)
    return next.getTime()
  }
}
