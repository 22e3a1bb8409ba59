import type { Place, Problem } from './place.js'
import { alignValue, placesOf } from './place.js'

/** One `key = value`. Continued lines are lines of the value. */
export interface Setting {
  readonly key: string
  readonly value: string
  readonly place: Place
  /** The place in the file of an offset into the value. */
  readonly placeIn: (offset: number) => Place
}

/** The settings under one `[name]`, with those of `[default]` that it does not set itself. */
export interface Stanza {
  readonly name: string
  readonly place: Place
  readonly settings: ReadonlyMap<string, Setting>
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
}

interface OpenStanza extends Stanza {
  readonly settings: Map<string, Setting>
  readonly errors: Problem[]
  readonly warnings: Problem[]
}

/**
 * Reads Splunk's conf format. `errors` are what belongs to no stanza.
 *
 *     conf    = { blank | "#" … | "[" name "]" | key "=" value }      one a line
 *     value   = … { "\" newline … }                                   blanks around it are no part of it, quotes are
 *
 * Settings before the first stanza are those of `[default]`. Stanzas of one name are one; of a key that is set twice the last
 * value counts. Source: Splunk's savedsearches.conf.spec, "Global settings", and the Admin Manual on configuration files.
 */
export function parseConf (text: string): { stanzas: readonly Stanza[], errors: readonly Problem[] } {
  const placeAt = placesOf(text)
  const open = (name: string, place: Place): OpenStanza => ({ name, place, settings: new Map(), errors: [], warnings: [] })
  const defaults = open('default', placeAt(0))
  const stanzas = new Map<string, OpenStanza>([['default', defaults]])
  const errors: Problem[] = []
  let stanza = defaults
  for (const { start, end } of logicalLines(text)) {
    const line = text.slice(start, end)
    const content = line.trim()
    if (content === '' || content.startsWith('#')) continue
    const from = start + line.search(/\S/)
    const place = placeAt(from)
    if (content.startsWith('[')) {
      const name = /^\[(.*)\]$/s.exec(content)?.[1]?.trim() ?? ''
      const known = stanzas.get(name)
      stanza = known ?? open(name, place)
      if (name === '') errors.push({ ...place, message: 'expected a stanza such as [name]; what follows up to the next one is not read' })
      else if (known === undefined) stanzas.set(name, stanza)
      else if (known !== defaults) known.warnings.push({ ...place, message: `[${name}] is there twice: settings of both count, and of a key in both the last` })
      continue
    }
    const equals = line.indexOf('=')
    const key = line.slice(0, Math.max(equals, 0)).trim()
    if (key === '') {
      const into = stanza === defaults ? errors : stanza.errors
      into.push({ ...place, message: `expected key = value${/\\[ \t]+\r?\n$/.test(text.slice(0, start)) ? ': behind the backslash of the line before are blanks, so it continues nothing' : ''}` })
      continue
    }
    if (stanza.settings.has(key)) stanza.warnings.push({ ...place, message: `${key} is set twice: the last value counts` })
    stanza.settings.set(key, toSetting(key, place, text, start + equals + 1, end, placeAt))
  }
  stanzas.delete('default')
  return {
    stanzas: [...stanzas.values()].map(one => ({ ...one, settings: new Map([...defaults.settings, ...one.settings]) })),
    errors: [...errors, ...defaults.errors],
  }
}

function toSetting (key: string, place: Place, text: string, start: number, end: number, placeAt: (offset: number) => Place): Setting {
  const value = text.slice(start, end).replace(/\\\r?\n/g, '\n').trim()
  return {
    key, value, place,
    placeIn: offset => placeAt(start + alignValue(text.slice(start, end), 0, value, 'conf')(offset)),
  }
}

/** Lines without their ends; a backslash before the end of a line takes the next one in. A comment is one line. */
function * logicalLines (text: string): Generator<{ start: number, end: number }> {
  let start = text.startsWith('\uFEFF') ? 1 : 0
  for (let at = start; at < text.length;) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline
    at = end + 1
    const isComment = /^\s*#/.test(text.slice(start, Math.min(end, start + 1000)))
    if (newline >= 0 && !isComment && /\\\r?$/.test(text.slice(Math.max(start, end - 2), end))) continue
    yield { start, end }
    start = at
  }
}
