import { BlockList, isIP } from 'node:net'
import type { CompareOp, Predicate } from '../ast.js'
import { compileWildcard, foldCase } from '../match.js'
import { compilePhrase } from '../phrase.js'
import type { Scalar, Value } from '../row.js'
import { compareUtf8, isMultivalue, toKey, toNumber, toScalars, toText } from '../value.js'

/** A predicate that looks at one field. */
export type FieldTest = Extract<Predicate, { kind: 'compare' | 'in' | 'is' }>

/** A function that says whether the event, whose fields `get` reads, meets the condition (R2–R16). */
export function compilePredicate (predicate: Predicate): (get: (field: string) => Value | undefined) => boolean {
  switch (predicate.kind) {
    case 'all': return () => true
    case 'and': {
      const terms = predicate.terms.map(compilePredicate)
      return get => terms.every(term => term(get))
    }
    case 'or': {
      const terms = predicate.terms.map(compilePredicate)
      return get => terms.some(term => term(get))
    }
    case 'not': {
      const term = compilePredicate(predicate.term)
      return get => !term(get) // true for a missing field too (R8)
    }
    case 'compare':
    case 'in':
    case 'is': {
      const test = compileTest(predicate)
      return get => test(get(predicate.field))
    }
    case 'raw': {
      const test = compilePhrase(predicate.text)
      return get => toScalars(get('_raw')).some(raw => test(toText(raw)))
    }
    case 'rows': return compileRows(predicate)
    case 'subsearch': throw new Error('a search in brackets whose rows are not there yet')
    default: return predicate satisfies never
  }
}

/** The test of one field's value. A missing field never passes, not even `!=` (R8); of a multivalue one value is enough (R9). */
export function compileTest (test: FieldTest): (value: Value | undefined) => boolean {
  const passes = compileScalarTest(test)
  return value => {
    if (value === undefined) return false
    return isMultivalue(value) ? value.some(passes) : passes(value)
  }
}

function compileScalarTest (test: FieldTest): (value: Scalar) => boolean {
  switch (test.kind) {
    case 'is': {
      const wanted = toText(test.value)
      return value => toText(value) === wanted
    }
    case 'in': return compileLiterals(test.texts)
    case 'compare': {
      if (test.op === '=') return compileLiterals([test.text])
      if (test.op !== '!=') return compileOrder(test.op, test.text)
      const matches = compileLiterals([test.text])
      return value => !matches(value)
    }
    default: return test satisfies never
  }
}

/** Whether a value equals one of the literals: without regard to case (R5), with `*` (R6), or as an address in a network (R14). */
function compileLiterals (texts: readonly string[]): (value: Scalar) => boolean {
  const literals = texts.map(foldCase)
  const exact = new Set(literals.filter(text => !text.includes('*')))
  const wildcards = literals.filter(text => text.includes('*')).map(compileWildcard)
  const inNetwork = compileNetworks(texts)
  return value => {
    const text = foldCase(toText(value))
    return exact.has(text) || wildcards.some(matches => matches(text)) || (inNetwork !== null && inNetwork(text))
  }
}

/**
 * Parts of texts, ASCII in lower case: every text that passes holds one of them, in whatever case. Null where no such parts can be said. Who has many
 * texts looks for the parts first.
 */
export function requiredTexts (test: FieldTest): readonly string[] | null {
  if (test.kind === 'compare' && test.op !== '=') return null
  const texts = test.kind === 'in' ? test.texts : [test.kind === 'is' ? toText(test.value) : test.text]
  if (compileNetworks(texts) !== null) return null
  const parts = texts.map(text => {
    const literals = test.kind === 'is' ? [text] : text.split('*')
    return literals.reduce((longest, part) => part.length > longest.length ? part : longest).toLowerCase()
  })
  return parts.every(part => /^[\x20-\x7e]+$/.test(part)) ? parts : null
}

/** The longest text of an IPv6 address. */
const MAX_ADDRESS = 45

/** A test for the addresses in the networks that the texts are, if any is one (R14). */
export function compileNetworks (texts: readonly string[]): ((text: string) => boolean) | null {
  const networks = new BlockList()
  for (const text of texts) {
    const [, address = '', bits = ''] = /^([\d.]+|[\da-f:.]+)\/(\d{1,3})$/i.exec(text) ?? []
    const family = isIP(address)
    if (family !== 0 && Number(bits) <= (family === 4 ? 32 : 128)) networks.addSubnet(address, Number(bits), toFamily(family))
  }
  if (networks.rules.length === 0) return null
  return text => {
    const family = text.length > MAX_ADDRESS || text.includes('%') ? 0 : isIP(text) // BlockList takes no zone such as fe80::1%eth0
    return family !== 0 && networks.check(text, toFamily(family))
  }
}

function toFamily (version: number): 'ipv4' | 'ipv6' {
  return version === 4 ? 'ipv4' : 'ipv6'
}

/** R12: numerically if both sides are numbers, else by UTF-8 bytes. */
function compileOrder (op: Exclude<CompareOp, '=' | '!='>, literal: string): (value: Scalar) => boolean {
  const number = toNumber(literal)
  const order = (value: Scalar): number => {
    const left = number === null ? null : toNumber(value)
    return left === null || number === null ? compareUtf8(toText(value), literal) : left - number
  }
  switch (op) {
    case '<': return value => order(value) < 0
    case '<=': return value => order(value) <= 0
    case '>': return value => order(value) > 0
    case '>=': return value => order(value) >= 0
    default: return op satisfies never
  }
}

/** Whether the values of the fields, one of each, are those of a row; found at once, however many rows there are. */
function compileRows ({ fields, rows }: Extract<Predicate, { kind: 'rows' }>): (get: (field: string) => Value | undefined) => boolean {
  const keyOf = (texts: readonly string[]) => toKey(texts.map(foldCase))
  const keys = new Set(rows.map(keyOf))
  return get => {
    let choices: string[][] = [[]]
    for (const field of fields) {
      const texts = toScalars(get(field)).map(toText)
      choices = choices.flatMap(choice => texts.map(text => [...choice, text]))
      // Of long multivalues the rows are fewer than the combinations.
      if (choices.length > MAX_CHOICES) return rows.some(row => fields.every((name, i) => toScalars(get(name)).some(value => foldCase(toText(value)) === foldCase(row[i]!))))
    }
    return choices.some(choice => keys.has(keyOf(choice)))
  }
}

const MAX_CHOICES = 1_000

/** How many comparisons a condition makes of one event, at most. */
export function countTests (predicate: Predicate): number {
  switch (predicate.kind) {
    case 'and':
    case 'or': return predicate.terms.reduce((sum, term) => sum + countTests(term), 0)
    case 'not': return countTests(predicate.term)
    default: return 1
  }
}

/** The fields that a condition looks at, besides those of searches in brackets. */
export function predicateFields (predicate: Predicate): Set<string> {
  const fields = new Set<string>()
  const visit = (node: Predicate): void => {
    switch (node.kind) {
      case 'all': return
      case 'and':
      case 'or': return node.terms.forEach(visit)
      case 'not': return visit(node.term)
      case 'compare':
      case 'in':
      case 'is': fields.add(node.field); return
      case 'raw': fields.add('_raw'); return
      case 'rows': for (const field of node.fields) fields.add(field); return
      case 'subsearch': return // see hasSubsearch
      default: node satisfies never
    }
  }
  visit(predicate)
  return fields
}
