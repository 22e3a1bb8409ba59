import { readdirSync, readFileSync } from 'node:fs'
import type { Knowledge } from '../../src/spl/knowledge.js'
import type { LookupTable } from '../../src/spl/lookup.js'
import type { Macro, Macros } from '../../src/spl/macro.js'
import type { Value } from '../../src/spl/row.js'

/** An event or a row: fields in the order of the file. */
export type Fields = ReadonlyMap<string, Value>

/** One case of test/cases/: a search over events, and the rows or the error that it gives. */
export interface Case {
  readonly file: string
  readonly title: string
  readonly search: string
  readonly macros: Macros
  readonly knowledge: Knowledge
  /** Those inside the case's window, if it has one. */
  readonly events: readonly Fields[]
  readonly timeZone: string
  /** When the search runs. */
  readonly nowMs: number
  /** Fields that a store is to have as columns: those of the events, except where one holds a multivalue. */
  readonly columns: ReadonlySet<string>
  readonly expected: { readonly rows: readonly Fields[] } | { readonly error: string }
}

/** Sections of a case by name, each with what stands behind the name and its lines. */
type Sections = ReadonlyMap<string, { readonly argument: string, readonly lines: readonly string[] }>

/** Where the cases are, from `build/` as well. */
export const CASES = new URL('./', import.meta.resolve('#root/test/cases/README.md'))

/** Reads every `*.txt` of a folder, in order of name. The format is described in test/cases/README.md. */
export function readCases (folder: URL): Case[] {
  const names = readdirSync(folder).filter(name => name.endsWith('.txt')).sort()
  return names.flatMap(name => parseCases(name, readFileSync(new URL(name, folder), 'utf8')))
}

/** Parses one file: sections before the first case hold for each case that doesn't have its own. */
export function parseCases (file: string, text: string): Case[] {
  const [shared = '', ...cases] = text.split(/^=== /m)
  const defaults = parseSections(shared)
  return cases.map(part => {
    const lineEnd = part.indexOf('\n')
    return toCase(file, part.slice(0, lineEnd).trim(), new Map([...defaults, ...parseSections(part.slice(lineEnd + 1))]))
  })
}

function parseSections (text: string): Sections {
  return new Map(text.split(/^--- /m).slice(1).map(section => {
    const [head = '', ...lines] = section.trimEnd().split('\n')
    const [, name = '', argument = ''] = /^(\w+) ?(.*)$/.exec(head) ?? []
    return name === 'lookup' ? [`lookup ${argument}`, { argument, lines }] : [name, { argument, lines }]
  }))
}

function toCase (file: string, title: string, sections: Sections): Case {
  const lines = (name: string): readonly string[] => sections.get(name)?.lines ?? []
  const [from = -Infinity, to = Infinity] = sections.get('window')?.argument.split(' ').map(time => Date.parse(time) / 1000) ?? []
  const events = lines('events').filter(line => line !== '').map(parseFields).filter(event => {
    const time = event.get('_time')
    return typeof time !== 'number' || (time >= from && time < to) // R80
  })
  if (!sections.has('search') || sections.has('rows') === sections.has('error')) throw new Error(`${file}: "${title}" needs a search, and rows or an error`)
  return {
    file,
    title,
    search: lines('search').join('\n').trim(),
    macros: new Map(lines('macros').filter(line => line !== '').map(parseMacro)),
    knowledge: { dataModels: DATA_MODELS, lookups: new Map([...sections].filter(([name]) => name.startsWith('lookup ')).map(([, { argument, lines }]) => parseLookup(argument, lines))) },
    events,
    timeZone: sections.get('zone')?.argument ?? 'UTC',
    nowMs: Date.parse(sections.get('now')?.argument ?? '1970-01-01T00:00:00Z'),
    columns: new Set(events.flatMap(event => [...event.keys()]).filter(field => !events.some(event => Array.isArray(event.get(field))))),
    expected: sections.has('error') ? { error: lines('error').join('\n') } : { rows: lines('rows').filter(line => line !== '').map(parseFields) },
  }
}

function parseFields (line: string): Fields {
  return new Map(Object.entries(JSON.parse(line)))
}

/** Events of two sourcetypes are of the one data model. */
const DATA_MODELS = new Map([['Endpoint.Processes', { sourcetypes: ['exec', 'audit'], fields: ['dest', 'parent_process_name', 'process', 'process_name', 'user'] }]])

/** `name [CIDR(column)] [WILDCARD(column)] [case=false] [max=n] [min=n] [default=text]`, then lines of cells between commas. */
function parseLookup (argument: string, [header = '', ...lines]: readonly string[]): [string, LookupTable] {
  const [name = '', ...settings] = argument.split(' ')
  const setting = (key: string) => settings.find(text => text.startsWith(`${key}=`))?.slice(key.length + 1)
  const matchTypes = settings.flatMap(text => {
    const [, type, column] = /^(CIDR|WILDCARD)\((.*)\)$/.exec(text) ?? []
    return type === undefined ? [] : [[column!, type.toLowerCase()] as const]
  })
  return [name, {
    columns: header.split(','),
    rows: lines.filter(line => line !== '').map(line => line.split(',')),
    matchTypes: Object.fromEntries(matchTypes) as LookupTable['matchTypes'],
    caseSensitive: setting('case') !== 'false',
    maxMatches: Number(setting('max') ?? 1000),
    minMatches: Number(setting('min') ?? 0),
    defaultMatch: setting('default') ?? null,
    hash: '',
  }]
}

/** `name: definition`, or `name(a, b): definition` */
function parseMacro (line: string): [string, Macro] {
  const [, name = '', names, definition = ''] = /^([\w-]+)(?:\((.*?)\))?: (.*)$/.exec(line) ?? []
  const args = names?.split(',').map(arg => arg.trim()) ?? []
  return [args.length === 0 ? name : `${name}(${args.length})`, { args, definition }]
}
