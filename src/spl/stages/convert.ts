import type { ConvertFunction, ConvertStage } from '../ast.js'
import type { EvalContext } from '../functions/function.js'
import type { Row, Scalar } from '../row.js'
import { compileTimeFormat } from '../strftime.js'
import { compileTimeParser } from '../strptime.js'
import { toNumber, toScalars, toText, toValue } from '../value.js'
import { compileColumnTest } from './table.js'

/** What a conversion makes of a value; undefined for what it can't convert. */
type Conversion = (value: Scalar) => Scalar | undefined

const SECONDS: readonly number[] = [1, 60, 3600]
const KILOBYTES: Readonly<Record<string, number>> = { '': 1, k: 1, m: 1024, g: 1024 * 1024 }

/**
 * R70: converts fields in the order given; times are written in the run's time zone. A missing field is left alone, and what can't
 * be converted stays as it is, except that `num` takes it away. A wildcard leaves out the fields that `none` names.
 */
export function compileConvert (stage: ConvertStage, { timeZone, nowMs }: Pick<EvalContext, 'timeZone' | 'nowMs'>): (row: Row) => void {
  const format = compileTimeFormat(stage.timeformat, timeZone)
  const isParsed = stage.conversions.some(one => one.function === 'mktime')
  const parse = isParsed ? compileTimeParser(stage.timeformat, timeZone, nowMs) : () => null
  const conversions = stage.conversions.filter(one => one.function !== 'none').map(one => {
    const convert = compileConversion(one.function, format, parse)
    const matches = one.field.includes('*') ? compileColumnTest(one.field) : null
    return { ...one, matches, convert: one.function === 'num' ? convert : (value: Scalar) => convert(value) ?? value }
  })
  const untouched = stage.conversions.filter(one => one.function === 'none').map(({ field }) => compileColumnTest(field))
  const change = ({ values }: Row, field: string, as: string, convert: Conversion) => {
    const value = values.get(field)
    if (value === undefined) return
    const converted = toValue(toScalars(value).map(convert).filter(one => one !== undefined))
    if (converted === undefined) values.delete(as)
    else values.set(as, converted)
  }
  return row => {
    for (const { field, as, matches, convert } of conversions) {
      if (matches === null) change(row, field, as, convert)
      else {
        for (const name of [...row.values.keys()].filter(matches)) {
          if (!untouched.some(test => test(name))) change(row, name, name, convert)
        }
      }
    }
  }
}

function compileConversion (name: ConvertFunction, format: (seconds: number) => string | null, parse: (text: string) => number | null): Conversion {
  switch (name) {
    case 'auto':
    case 'num': return value => toNumber(value) ?? undefined
    case 'ctime': return value => {
      const number = toNumber(value)
      return number === null ? undefined : format(number) ?? undefined
    }
    case 'dur2sec': return value => {
      const [, days = '0', clock] = /^(?:(\d+)\+)?(\d+:\d\d(?::\d\d)?)$/.exec(toText(value)) ?? []
      return clock === undefined ? undefined : Number(days) * 86_400 + clock.split(':').toReversed().reduce((sum, part, index) => sum + Number(part) * SECONDS[index]!, 0)
    }
    case 'memk': return value => {
      const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(toText(value)) ?? []
      return digits === undefined ? undefined : Number(digits) * KILOBYTES[unit.toLowerCase()]!
    }
    case 'mktime': return value => parse(toText(value)) ?? undefined
    case 'mstime': return value => {
      const [, minutes = '0', seconds] = /^(?:(\d+):)?(\d+(?:\.\d+)?)$/.exec(toText(value)) ?? []
      return seconds === undefined ? undefined : Number(minutes) * 60 + Number(seconds)
    }
    case 'none': return value => value
    case 'rmcomma': return value => {
      const text = toText(value).replaceAll(',', '')
      return toNumber(text) ?? text
    }
    case 'rmunit': return value => toNumber(/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)/.exec(toText(value))?.[0] ?? '') ?? undefined
    default: return name satisfies never
  }
}
