import { quote } from '../errors.js'
import { compileTimeFormat, parseTimeFormat } from '../strftime.js'
import { compileTimeParser } from '../strptime.js'
import { parseTimeModifier } from '../time-modifier.js'
import type { EvalFunction, Fault, FunctionTable } from './function.js'
import { asNumber, asText, literalText, perValue, prepared, toFinite } from './function.js'
import type { Expr } from '../ast.js'

/** A run has one time: no clock is asked while it goes on. */
const NOW: EvalFunction = { arity: [0, 0], gives: 'value', compile: (_, { nowMs }) => () => nowMs / 1000 }

/** Functions of time (spl-semantics.md section 5). Times are epoch seconds. */
export const TIME_FUNCTIONS: FunctionTable = [
  ['now', { ...NOW, compile: (_, { nowMs }) => () => Math.floor(nowMs / 1000) }],
  ['relative_time', {
    arity: [2, 2],
    gives: 'value',
    check: ([, modifier]) => {
      const text = literalText(modifier)
      return text === null || parseTimeModifier(text, 0, 'UTC') !== null ? null : { argument: 1, detail: `Expected a time modifier such as -1d@d, found ${quote(text)}` }
    },
    compile: ([time, modifier], { timeZone }) => fields => {
      const seconds = asNumber(time!(fields))
      const text = asText(modifier!(fields))
      return seconds === null || text === null ? undefined : relativeTime(seconds, text, timeZone)
    },
  }],
  ['strftime', {
    arity: [2, 2],
    gives: 'value',
    check: exprs => checkFormat(exprs, parseTimeFormat),
    compile: ([time, format], { timeZone }, exprs) => {
      const formatOf = prepared(format!, exprs[1], text => parseTimeFormat(text).unsupported === null ? compileTimeFormat(text, timeZone) : null)
      return fields => {
        const seconds = asNumber(time!(fields))
        return seconds === null ? undefined : formatOf(fields)?.(seconds) ?? undefined
      }
    },
  }],
  ['strptime', {
    arity: [2, 2],
    gives: 'value',
    check: exprs => checkFormat(exprs, parseTimeFormat),
    compile: ([text, format], { timeZone, nowMs }, exprs) => {
      const parserOf = prepared(format!, exprs[1], text => parseTimeFormat(text).unsupported === null ? compileTimeParser(text, timeZone, nowMs) : null)
      return perValue(text!, fields => {
        const parse = parserOf(fields)
        return parse === null ? null : value => parse(value) ?? undefined
      })
    },
  }],
  ['time', NOW],
]

function checkFormat (exprs: readonly Expr[], parse: typeof parseTimeFormat): Fault | null {
  const text = literalText(exprs[1])
  const unsupported = text === null ? null : parse(text).unsupported
  return unsupported === null ? null : { argument: 1, detail: `The directive ${quote(unsupported)} isn't supported in a time format`, offset: text!.indexOf(unsupported) }
}

/** Milliseconds are what modifiers work on; what is finer stays, unless the time is snapped. */
function relativeTime (seconds: number, modifier: string, timeZone: string): number | undefined {
  const wholeMs = Math.floor(seconds * 1000)
  if (Math.abs(wholeMs) > 8.64e15) return undefined
  const timeMs = parseTimeModifier(modifier, wholeMs, timeZone)
  if (timeMs === null) return undefined
  const rest = modifier.includes('@') ? 0 : Math.round(seconds * 1e6) - wholeMs * 1000
  return toFinite((timeMs * 1000 + rest) / 1e6)
}
