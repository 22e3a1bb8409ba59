/** The API's own description, as far as the page shows it: OpenAPI 3.1, whose schemas are JSON Schema. */

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
}

export interface Parameter {
  readonly name: string
  readonly in: 'query' | 'path' | 'header' | 'cookie'
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
  readonly example?: unknown
}

export interface Media { readonly schema?: Schema, readonly example?: unknown }

export interface Reply { readonly description: string, readonly content?: Readonly<Record<string, Media>> }

export interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean, readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<Record<string, Reply>>
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
}

export interface ApiDocument {
  readonly info: { readonly title: string, readonly version: string, readonly description?: string }
  readonly tags?: readonly { readonly name: string, readonly description?: string }[]
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export interface Call extends Operation { readonly method: string, readonly path: string }

/** All calls, by tag in the document's order, of one tag in the order of paths. */
export function callsByTag ({ tags = [], paths }: ApiDocument): readonly { readonly tag: string, readonly description: string, readonly calls: readonly Call[] }[] {
  const calls = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]): Call => ({ ...operation, method: method.toUpperCase(), path })))
  const described = new Map(tags.map(({ name, description = '' }) => [name, description]))
  const names = new Set([...described.keys(), ...calls.map(tagOf)])
  return [...names]
    .map(tag => ({ tag, description: described.get(tag) ?? '', calls: calls.filter(call => tagOf(call) === tag) }))
    .filter(({ calls }) => calls.length > 0)
}

const tagOf = ({ tags = [] }: Operation): string => tags[0] ?? 'other'

/** Whether every word of a question is in what a call is called or says of itself. */
export function isAbout (call: Call, question: string): boolean {
  const text = `${call.method} ${call.path} ${call.operationId} ${call.summary ?? ''} ${call.description ?? ''} ${tagOf(call)} ${(call.parameters ?? []).map(({ name }) => name).join(' ')}`.toLowerCase()
  return question.toLowerCase().split(/\s+/).every(word => text.includes(word))
}

/** The least role that may call it; null: nobody is asked who it is. */
export function roleOf ({ security }: Operation, isDefaultViewer: boolean): string | null {
  if (security === undefined) return isDefaultViewer ? 'viewer' : null
  return security[0] === undefined ? null : Object.values(security[0])[0]?.[0] ?? null
}

/** What a call answers; statuses that are answered alike, such as all errors, are one. */
export function repliesOf ({ responses }: Operation): readonly (Reply & { readonly statuses: string })[] {
  const replies = new Map<string, { readonly reply: Reply, readonly statuses: string[] }>()
  for (const [status, reply] of Object.entries(responses)) {
    const key = JSON.stringify(reply)
    const alike = replies.get(key)
    if (alike === undefined) replies.set(key, { reply, statuses: [status] })
    else alike.statuses.push(status)
  }
  return [...replies.values()].map(({ reply, statuses }) => ({ ...reply, statuses: statuses.join(', ') }))
}

/** Behind its reference; the name is that of the reference. */
export function resolveSchema (schema: Schema, { components }: ApiDocument): { readonly schema: Schema, readonly name: string | null } {
  if (schema.$ref === undefined) return { schema, name: null }
  const name = schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)
  return { schema: components?.schemas?.[name] ?? {}, name }
}

/** A type in a few words: `string or null`, `array of Finding`, `one of new, pending`. */
export function typeText (schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return `one of ${schema.enum.map(String).join(', ')}`
  const variants = schema.anyOf ?? schema.oneOf
  if (variants !== undefined) return [...new Set(variants.map(typeText))].join(' or ')
  if (schema.items !== undefined) return `array of ${typeText(schema.items)}`
  if (schema.type === undefined) return schema.properties === undefined ? 'any' : 'object'
  if (schema.type === 'object' && schema.properties === undefined && typeof schema.additionalProperties === 'object') return `object of ${typeText(schema.additionalProperties)}`
  return typeof schema.type === 'string' ? schema.type : schema.type.join(' or ')
}

/** Bounds in a few words; those that every safe integer keeps are left out. */
export function boundsText ({ minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, default: preset }: Schema): string {
  const range = (what: string, least: number | undefined, most: number | undefined) => {
    const [from, to] = [least, most].map(bound => bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? null : bound.toLocaleString('en'))
    if (from == null && to == null) return null
    return `${from == null ? `at most ${to}` : to == null ? `at least ${from}` : `${from} to ${to}`}${what}`
  }
  return [range('', minimum, maximum), range(' characters', minLength, maxLength), range(' items', minItems, maxItems), pattern === undefined ? null : `matches ${pattern}`, preset === undefined ? null : `${JSON.stringify(preset)} where it is missing`]
    .filter(part => part !== null).join(', ')
}

/** A line for a shell that does the call, with the document's own examples. Needs the variable KEY. */
export function curlOf (call: Call, origin: string, asksWho: boolean): string {
  const parameters = call.parameters ?? []
  const valueOf = ({ name, example }: Parameter) => example === undefined ? name.toUpperCase() : String(example)
  const path = call.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(valueOf(parameters.find(one => one.in === 'path' && one.name === name) ?? { name, in: 'path' })))
  const query = new URLSearchParams(parameters.filter(one => one.in === 'query' && (one.required === true || one.example !== undefined)).map(one => [one.name, valueOf(one)]))
  const body = call.requestBody?.content['application/json']?.example
  return [
    'curl',
    ...call.method === 'GET' ? [] : [`-X ${call.method}`],
    ...asksWho ? ['-H "Authorization: Bearer $KEY"'] : [],
    ...parameters.filter(one => one.in === 'header' && one.example !== undefined).map(one => `-H ${quote(`${one.name}: ${valueOf(one)}`)}`),
    ...body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(body))}`],
    quote(`${origin}${path}${query.size === 0 ? '' : `?${query}`}`),
  ].join(' ')
}

/** As one word of a POSIX shell. */
function quote (text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
