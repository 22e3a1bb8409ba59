import type { Row, Scalar, Value } from '../row.js'
import { compareScalars, isMultivalue, toNumber, toScalars, toText, toValue } from '../value.js'
import type { Accumulator } from './stats.js'

/** The most values that list gives (R37). */
const MAX_LIST = 100

/** R37: the values in the order of the rows, each one of a multivalue. */
export class List implements Accumulator {
  readonly #values: Scalar[] = []
  add (value: Value | undefined): void {
    for (const scalar of toScalars(value)) if (this.#values.length < MAX_LIST) this.#values.push(scalar)
  }

  value (): Value | undefined { return toValue(this.#values) }
}

/** R39: of the first or the last row that has the field. */
export class Place implements Accumulator {
  #value: Value | undefined
  constructor (readonly which: 'first' | 'last') {}

  add (value: Value | undefined): void {
    if (value !== undefined && (this.which === 'last' || this.#value === undefined)) this.#value = value
  }

  value (): Value | undefined { return this.#value }
}

/**
 * R39: of the row with the smallest or the largest `_time` of those that have both. Rows come newest first, so of equal times the first row
 * is the latest, and the last the earliest. `gives` is the field's value or the time.
 */
export class Moment implements Accumulator {
  #time: number | null = null
  #value: Value | undefined
  constructor (readonly which: 'earliest' | 'latest', readonly gives: 'value' | 'time') {}

  add (value: Value | undefined, { values }: Row): void {
    const stamp = values.get('_time')
    const time = value === undefined || stamp === undefined || isMultivalue(stamp) ? null : toNumber(stamp)
    if (time === null) return
    const isNext = this.#time === null || (this.which === 'latest' ? time > this.#time : time <= this.#time)
    if (isNext) [this.#time, this.#value] = [time, this.gives === 'value' ? value : stamp]
  }

  value (): Value | undefined { return this.#value }
}

/** R40: what is worked out of the values that are numbers, one at a time; nothing where there is none. */
export class Sum implements Accumulator {
  #count = 0
  #sum = 0
  #squares = 0
  /** Mean and the sum of squared distances from it, by Welford's method: squares of large numbers would drown the differences. */
  #mean = 0
  #distances = 0
  constructor (readonly gives: 'sum' | 'sumsq' | 'avg' | 'stdev' | 'stdevp' | 'var' | 'varp') {}

  add (value: Value | undefined): void {
    if (value === undefined) return
    if (isMultivalue(value)) value.forEach(scalar => this.#take(scalar))
    else this.#take(value)
  }

  value (): number | undefined {
    if (this.#count === 0) return undefined
    const result = this.#result()
    return Number.isFinite(result) ? result + 0 : undefined // + 0 makes 0 of -0
  }

  #result (): number {
    switch (this.gives) {
      case 'sum': return this.#sum
      case 'sumsq': return this.#squares
      case 'avg': return this.#sum / this.#count
      case 'varp': return this.#distances / this.#count
      case 'stdevp': return Math.sqrt(this.#distances / this.#count)
      case 'var': return this.#count === 1 ? 0 : this.#distances / (this.#count - 1)
      case 'stdev': return this.#count === 1 ? 0 : Math.sqrt(this.#distances / (this.#count - 1))
      default: return this.gives satisfies never
    }
  }

  #take (scalar: Scalar): void {
    const number = toNumber(scalar)
    if (number === null) return
    this.#count++
    this.#sum += number
    this.#squares += number * number
    const distance = number - this.#mean
    this.#mean += distance / this.#count
    this.#distances += distance * (number - this.#mean)
  }
}

/** R40: the difference between the greatest and the least number. */
export class Range implements Accumulator {
  #least = Infinity
  #greatest = -Infinity
  add (value: Value | undefined): void {
    for (const scalar of toScalars(value)) {
      const number = toNumber(scalar)
      if (number === null) continue
      this.#least = Math.min(this.#least, number)
      this.#greatest = Math.max(this.#greatest, number)
    }
  }

  value (): number | undefined {
    const range = this.#greatest - this.#least
    return Number.isFinite(range) ? range + 0 : undefined
  }
}

/** The number of nearest rank, of two in the middle the higher one, as Splunk has it for fewer than 1,000 different numbers. */
export class Percentile implements Accumulator {
  readonly #numbers: number[] = []
  constructor (readonly percent: number) {}

  add (value: Value | undefined): void {
    for (const scalar of toScalars(value)) {
      const number = toNumber(scalar)
      if (number !== null) this.#numbers.push(number)
    }
  }

  value (): number | undefined {
    const sorted = Float64Array.from(this.#numbers).sort()
    const place = Math.floor(this.percent * sorted.length / 100)
    const number = sorted[Math.min(place, sorted.length - 1)]
    return number === undefined ? undefined : number + 0
  }
}

/** The value that is there most often; of several the least. Values are told apart by their text. */
export class Mode implements Accumulator {
  readonly #counts = new Map<string, { value: Scalar, count: number }>()
  add (value: Value | undefined): void {
    for (const scalar of toScalars(value)) {
      const text = toText(scalar)
      const known = this.#counts.get(text)
      if (known === undefined) this.#counts.set(text, { value: scalar, count: 1 })
      else {
        known.count++
        if (typeof scalar === 'string') known.value = scalar // of 42 and "42" the string is kept
      }
    }
  }

  value (): Scalar | undefined {
    const [most] = [...this.#counts.values()].sort((a, b) => b.count - a.count || compareScalars(a.value, b.value))
    return most?.value
  }
}
