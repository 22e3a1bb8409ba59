import type { KeyTree } from '../json.js'
import { jsonFieldKeys } from '../json.js'
import type { FieldTables, SourcetypeFields } from './field-tables.js'
import { LOSS_MEMBERS } from './loss.js'
import type { Mapping } from './tables.js'
import { COMMAND_LINE_MEMBERS, isMetadata, WRAPPING_KEY } from './tables.js'
import { TIME_MEMBERS } from './time.js'

/**
 * What of an event, where that is an object, can decide its sourcetype, its own time, what it says of losses, and the given fields. It may be more than that. Null
 * where one of them is calculated: an expression can read anything.
 */
export function neededKeys ({ routes, sourcetypes }: FieldTables, fields: readonly string[]): KeyTree | null {
  const names = fields.filter(name => !isMetadata(name))
  if (sourcetypes.some(({ evals }) => names.some(name => Object.hasOwn(evals, name)))) return null
  const paths: (readonly string[])[] = [WRAPPING_KEY, ...TIME_MEMBERS, ...LOSS_MEMBERS, ...names.flatMap(jsonFieldKeys)].map(key => [key])
  for (const sourcetype of sourcetypes) for (const name of names) paths.push(...pathsOf(name, sourcetype))
  const tree: Tree = new Map()
  for (const path of paths) addPath(tree, path)
  for (const { key } of routes) if (!tree.has(key)) tree.set(key, new Map()) // that it is there is all that is asked
  return tree
}

/** Where a field comes from in the events of a sourcetype, beside what is in them under its own name. */
function pathsOf (name: string, { mapped, aliases }: SourcetypeFields): (readonly string[])[] {
  const other = Object.hasOwn(aliases, name) && !isMetadata(aliases[name]!) ? [aliases[name]!] : []
  return [
    ...other.flatMap(jsonFieldKeys).map(key => [key]),
    ...[name, ...other].flatMap(field => Object.hasOwn(mapped, field) ? mappingPaths(mapped[field]!) : []),
  ]
}

function mappingPaths (mapping: Mapping): (readonly string[])[] {
  if (mapping.via === 'constant') return []
  return mapping.via === 'command_line' ? COMMAND_LINE_MEMBERS.map(member => [...mapping.path, member]) : [mapping.path]
}

type Tree = Map<string, Tree | 'whole'>

/** What is wanted whole stays so. */
function addPath (tree: Tree, [key, ...rest]: readonly string[]): void {
  const known = tree.get(key!)
  if (known === 'whole') return
  if (rest.length === 0) tree.set(key!, 'whole')
  else {
    const node: Tree = known ?? new Map()
    tree.set(key!, node)
    addPath(node, rest)
  }
}
