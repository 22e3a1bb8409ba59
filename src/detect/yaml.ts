import type { Scalar } from 'yaml'
import { isScalar, parseDocument } from 'yaml'
import type { Place, Problem, Writing } from './place.js'
import { alignValue, placesOf, START } from './place.js'

/** What a YAML text holds, and where. */
export interface YamlText {
  readonly content: unknown
  /** The place of a value, or of the deepest part of the path that is there. */
  placeOf (path: readonly PropertyKey[]): Place
  /** The place of an offset into the text at `key`, where it was written. */
  placeIn (key: string): (offset: number) => Place
}

const WRITINGS: Readonly<Record<string, Writing>> = { QUOTE_SINGLE: 'single quotes', QUOTE_DOUBLE: 'double quotes' }

/** Reads one YAML document; null with the errors where it is none. */
export function parseYamlText (text: string): { yaml: YamlText | null, errors: readonly Problem[] } {
  const document = parseDocument(text, { prettyErrors: false })
  const placeAt = placesOf(text)
  if (document.errors.length > 0) return { yaml: null, errors: document.errors.map(({ pos, message }) => ({ ...placeAt(pos[0]), message })) }
  let content: unknown
  try {
    content = document.toJS({ maxAliasCount: 100 }) // a few lines of YAML can unfold to gigabytes
  } catch (error) {
    return { yaml: null, errors: [{ ...START, message: (error as Error).message }] }
  }
  const placeOf = (path: readonly PropertyKey[]): Place => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { range?: readonly [number, number, number] } | undefined
      if (node?.range !== undefined) return placeAt(node.range[0])
    }
    return START
  }
  const placeIn = (key: string) => {
    const node = document.get(key, true) as Scalar | undefined
    if (!isScalar(node) || node.range == null || typeof node.value !== 'string') return () => placeOf([key])
    const { value, type = '', range: [from, to] } = node
    const isBlock = type.startsWith('BLOCK')
    const start = isBlock ? text.indexOf('\n', from) + 1 : from + (type.startsWith('QUOTE') ? 1 : 0)
    const offsetOf = alignValue(text.slice(0, to), start, value, WRITINGS[type] ?? 'plain')
    return (offset: number) => placeAt(offsetOf(offset))
  }
  return { yaml: { content, placeOf, placeIn }, errors: [] }
}
