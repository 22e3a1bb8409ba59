import type { Scalar, Value } from './event.js'
import { MAX_JSON_DEPTH } from './event.js'

/**
 * A JSON scalar as a field's value: text or a safe integer, so that every reader, SQL included, sees the same.
 * Lone surrogates become U+FFFD, other numbers and booleans text; null is no value.
 */
export function toFieldValue (json: unknown): Scalar | undefined {
  switch (typeof json) {
    case 'string': return json.isWellFormed() ? json : json.toWellFormed()
    case 'number': return Number.isSafeInteger(json) ? json + 0 : String(json) // + 0: no negative zero
    case 'boolean': return String(json)
    default: return undefined
  }
}

/** Collected values as a field has them: none, one, or a multivalue in document order. */
export function toValue (values: readonly Scalar[]): Value | undefined {
  return values.length > 1 ? values : values[0]
}

/** Keys of an object, and of each what is wanted of its value: all of it, or if it is an object some keys of that. What is no object is wanted whole. */
export interface KeyTree extends ReadonlyMap<string, KeyTree | 'whole'> {}

/**
 * Longer names are no fields: one long key with many below it would make gigabytes of names out of one event. Keys of
 * Kubernetes labels have at most 317 characters.
 */
const MAX_NAME_CHARS = 512

/**
 * The values of one automatic field (isovalent-events.md 4.1): dotted path of keys, `{}` behind a key for the elements of
 * its array. Keys keep their own dots, so one name can be reached by several paths; all count, in document order.
 */
export function lookupJsonField (json: unknown, name: string): Value | undefined {
  const found: Scalar[] = []
  const path = Array.isArray(json) ? name : `.${name}`
  if (path.length <= MAX_NAME_CHARS) descend(json, path, found)
  return toValue(found)
}

/**
 * The top-level keys through which `lookupJsonField` can come to a field: dots of its name may be in a key, or between two.
 */
export function jsonFieldKeys (name: string): string[] {
  return [...name.matchAll(/\.|\{\}|$/g)].map(({ index }) => name.slice(0, index))
}

/** Every automatic field of an event, in document order. `lookupJsonField` of each name gives the same value. */
export function jsonFields (json: unknown): Map<string, Value> {
  const lists = new Map<string, Scalar[]>()
  flatten(json, '', lists)
  const fields = new Map<string, Value>()
  for (const [path, values] of lists) fields.set(path.startsWith('.') ? path.slice(1) : path, toValue(values)!)
  return fields
}

/** `path` is what is left of the way down: nothing, `.key…` into an object or `{}…` into an array. */
function descend (json: unknown, path: string, found: Scalar[]): void {
  if (path === '') {
    const scalar = toFieldValue(json)
    if (scalar !== undefined) found.push(scalar)
  } else if (Array.isArray(json)) {
    if (path.startsWith('{}')) for (const element of json) descend(element, path.slice(2), found)
  } else if (typeof json === 'object' && json !== null && path.startsWith('.')) {
    for (const key of Object.keys(json)) {
      if (path.startsWith(key, 1)) descend((json as Record<string, unknown>)[key], path.slice(1 + key.length), found)
    }
  }
}

function flatten (json: unknown, path: string, lists: Map<string, Scalar[]>): void {
  if (path.length > MAX_NAME_CHARS) return
  if (Array.isArray(json)) {
    for (const element of json) flatten(element, `${path}{}`, lists)
  } else if (typeof json === 'object' && json !== null) {
    for (const key of Object.keys(json)) flatten((json as Record<string, unknown>)[key], `${path}.${key}`, lists)
  } else {
    const scalar = toFieldValue(json)
    if (scalar === undefined) return
    const values = lists.get(path)
    if (values === undefined) lists.set(path, [scalar])
    else values.push(scalar)
  }
}

/** The object or array that a text is the JSON of, no deeper than MAX_JSON_DEPTH; null for other text. */
export function parseJsonObject (text: string): object | null {
  if (!/^\s*[[{]/.test(text) || !isShallow(text)) return null
  try {
    return JSON.parse(text) as object
  } catch {
    return null
  }
}

/** Whether no array or object of a JSON text lies deeper than MAX_JSON_DEPTH. Of text that is no JSON it says nothing. */
export function isShallow (text: string): boolean {
  // Of most texts the number of brackets says it already, and that is looked for natively.
  if (countUpTo(text, '{', MAX_JSON_DEPTH) + countUpTo(text, '[', MAX_JSON_DEPTH) <= MAX_JSON_DEPTH) return true
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > MAX_JSON_DEPTH) return false
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET: depth--
    }
  }
  return true
}

/** How often a text has a character; one more than `most` where it is more. */
function countUpTo (text: string, char: string, most: number): number {
  let count = 0
  for (let at = text.indexOf(char); at !== -1 && count <= most; at = text.indexOf(char, at + 1)) count++
  return count
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** The offset of the quote that ends the string whose first quote is at `at`: the next one with an even number of backslashes before it. */
function endOfString (text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before--
    if ((end - before) % 2 === 1) return end
  }
  return text.length
}
