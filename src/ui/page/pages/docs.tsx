import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { isAbort } from '../api.js'
import { Badge } from '../components/badge.js'
import { Code, Json } from '../components/code.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { useKeys } from '../keys.js'
import type { ApiDocument, Call, Media, Parameter, Schema } from '../openapi.js'
import { boundsText, callsByTag, curlOf, isAbout, repliesOf, resolveSchema, roleOf, typeText } from '../openapi.js'
import { useRouter } from '../router.js'
import { countOf } from '../text.js'

/** Schemas in schemas are shown so deep; what is deeper has the name of its type. */
const MAX_DEPTH = 5

/** The API: every call with its role, parameters, bodies, replies and examples, from the document that the server itself serves. */
export function DocsPage () {
  const { query, setQuery } = useRouter()
  const { document: api, error, refresh } = useApiDocument()
  const search = useRef<HTMLInputElement>(null)
  const question = query.get('q') ?? ''
  const shownId = query.get('call')
  useKeys('API', [{ keys: '/', label: 'Go to the search', run: () => search.current?.focus() }])

  const groups = useMemo(() => api === null
    ? []
    : callsByTag(api).map(group => ({ ...group, calls: group.calls.filter(call => isAbout(call, question)) })).filter(({ calls }) => calls.length > 0), [api, question])
  useEffect(() => {
    if (api !== null && shownId !== null) window.document.getElementById(shownId)?.scrollIntoView({ block: 'start' })
  }, [api]) // a link leads to its call; what is opened by hand stays where it is

  if (error !== null) return <><h1>API</h1><ErrorState error={error} onRetry={refresh} /></>
  if (api === null) return <><h1>API</h1><Loading what='Loading the description of the API' /></>
  const found = groups.reduce((sum, { calls }) => sum + calls.length, 0)
  return (
    <div class='docs-page'>
      <div class='page-head'>
        <h1>API</h1>
        <span class='muted'>version {api.info.version}</span>
        <a href='/openapi.json' download='openapi.json'>openapi.json</a>
      </div>
      <p class='docs-intro'>{api.info.description} Calls are below <code>/api/v1</code> and ask for <code>Authorization: Bearer KEY</code>; each names the least role that may call it. Errors are <code>application/problem+json</code>.</p>
      <div class='docs-columns'>
        <nav aria-label='Calls' class='docs-nav'>
          <label class='field'>
            <span>Search</span>
            <input ref={search} type='search' value={question} placeholder='findings, POST, cursor …' spellcheck={false} autocomplete='off' onInput={event => setQuery({ q: event.currentTarget.value === '' ? null : event.currentTarget.value }, 'replace')} />
          </label>
          <p class='muted small-text' role='status'>{countOf(found, 'call')}</p>
          <ul>
            {groups.map(({ tag, calls }) => <li key={tag}><a href={`#tag-${tag}`}>{tag} <span class='muted'>{calls.length}</span></a></li>)}
          </ul>
        </nav>
        <div class='docs-calls'>
          {groups.length === 0 && <EmptyState title='No call is about that'><button type='button' class='quiet' onClick={() => setQuery({ q: null })}>Show all</button></EmptyState>}
          {groups.map(({ tag, description, calls }) => (
            <section key={tag} id={`tag-${tag}`} aria-labelledby={`tag-name-${tag}`}>
              <h2 id={`tag-name-${tag}`}>{tag}</h2>
              <p class='muted'>{description}</p>
              {calls.map(call => <CallCard key={call.operationId} call={call} api={api} isOpen={call.operationId === shownId} onToggle={isOpen => { if (isOpen !== (call.operationId === shownId)) setQuery({ call: isOpen ? call.operationId : null }, 'replace') }} />)}
            </section>
          ))}
        </div>
      </div>
    </div>
  )
}

/** The document that GET /openapi.json gives to everybody. */
function useApiDocument (): { readonly document: ApiDocument | null, readonly error: unknown, readonly refresh: () => void } {
  const [document, setDocument] = useState<ApiDocument | null>(null)
  const [error, setError] = useState<unknown>(null)
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    const load = async () => {
      setError(null)
      try {
        const res = await fetch('/openapi.json', { signal: abort.signal })
        if (!res.ok) throw new Error(`the server answered ${res.status}`)
        setDocument(await res.json() as ApiDocument)
      } catch (problem) {
        if (!isAbort(problem)) setError(problem)
      }
    }
    load()
    return () => abort.abort()
  }, [turn])
  return { document, error, refresh: () => setTurn(one => one + 1) }
}

function CallCard ({ call, api, isOpen, onToggle }: { call: Call, api: ApiDocument, isOpen: boolean, onToggle: (isOpen: boolean) => void }) {
  const role = roleOf(call, call.path.startsWith('/api/'))
  return (
    <details id={call.operationId} class='call' open={isOpen} onToggle={event => onToggle(event.currentTarget.open)}>
      <summary>
        <span class={`method ${call.method.toLowerCase()}`}>{call.method}</span>
        <code class='call-path'>{call.path}</code>
        <span class='call-summary'>{call.summary}</span>
        <Badge tone={role === 'admin' ? 'warn' : 'neutral'} title='the least role that may call it'>{role ?? 'no key'}</Badge>
      </summary>
      {isOpen && <CallBody call={call} api={api} asksWho={role !== null} />}
    </details>
  )
}

function CallBody ({ call, api, asksWho }: { call: Call, api: ApiDocument, asksWho: boolean }) {
  const parameters = call.parameters ?? []
  const about = call.description?.replace(/^Role: \w+\.\s*/, '') // which the badge says
  return (
    <div class='call-body'>
      {about !== undefined && about !== '' && <p>{about}</p>}
      <Code label={`curl: ${call.summary ?? call.operationId}`} text={curlOf(call, location.origin, asksWho)} wrap />
      {parameters.length > 0 && <><h3>Parameters</h3><Parameters parameters={parameters} api={api} /></>}
      {call.requestBody !== undefined && Object.entries(call.requestBody.content).map(([type, media]) => <Body key={type} title='Request body' note={type} media={media} api={api} />)}
      {repliesOf(call).map(({ statuses, description, content = {} }) => Object.keys(content).length === 0
        ? <div key={statuses}><h3>{statuses}</h3><p class='muted'>{description}</p></div>
        : Object.entries(content).map(([type, media]) => <Body key={`${statuses} ${type}`} title={statuses} note={`${description} · ${type}`} media={media} api={api} />))}
    </div>
  )
}

function Parameters ({ parameters, api }: { parameters: readonly Parameter[], api: ApiDocument }) {
  return (
    <dl class='members'>
      {parameters.map(({ name, in: place, required = false, description, schema = {}, example }) => (
        <Member key={`${place} ${name}`} name={name} isRequired={required} schema={{ ...schema, ...description === undefined ? {} : { description } }} api={api} depth={MAX_DEPTH} note={[place, example === undefined ? null : `such as ${String(example)}`].filter(part => part !== null).join(', ')} />
      ))}
    </dl>
  )
}

function Body ({ title, note, media: { schema, example }, api }: { title: string, note: string, media: Media, api: ApiDocument }) {
  return (
    <section class='call-part'>
      <h3>{title} <span class='muted small-text'>{note}</span></h3>
      {schema !== undefined && <Shape schema={schema} api={api} depth={0} />}
      {example !== undefined && (
        <details class='example' open>
          <summary>Example</summary>
          {typeof example === 'string' ? <Code text={example} label={`example of ${title}`} wrap /> : <Json value={example} label={`example of ${title}`} />}
        </details>
      )}
    </section>
  )
}

/** What a value holds: the members of an object, of the objects of an array, or of each of several kinds. */
function Shape ({ schema: given, api, depth }: { schema: Schema, api: ApiDocument, depth: number }) {
  const { schema, name } = resolveSchema(given, api)
  const inner = schema.items ?? (typeof schema.additionalProperties === 'object' && schema.properties === undefined ? schema.additionalProperties : undefined)
  if (schema.properties !== undefined) {
    const { properties, required = [] } = schema
    return (
      <>
        {name !== null && depth === 0 && <p class='muted small-text'>{name}</p>}
        <dl class='members'>
          {Object.entries(properties).map(([member, value]) => <Member key={member} name={member} isRequired={required.includes(member)} schema={value} api={api} depth={depth} />)}
        </dl>
      </>
    )
  }
  if (inner !== undefined) return <>{depth === 0 && <p class='muted small-text'>{typeText(schema)}</p>}<Shape schema={inner} api={api} depth={depth} /></>
  const variants = (schema.anyOf ?? schema.oneOf ?? []).filter(one => holdsMembers(one, api))
  if (variants.length > 0) return <>{variants.map((one, n) => <Shape key={n} schema={one} api={api} depth={depth} />)}</>
  return depth === 0 ? <p class='muted small-text'>{typeText(schema)}</p> : null
}

function holdsMembers (given: Schema, api: ApiDocument): boolean {
  const { schema } = resolveSchema(given, api)
  return schema.properties !== undefined ||
    (schema.items !== undefined && holdsMembers(schema.items, api)) ||
    (typeof schema.additionalProperties === 'object' && holdsMembers(schema.additionalProperties, api)) ||
    (schema.anyOf ?? schema.oneOf ?? []).some(one => one.$ref === undefined && holdsMembers(one, api))
}

function Member ({ name, isRequired, schema, api, depth, note = '' }: { name: string, isRequired: boolean, schema: Schema, api: ApiDocument, depth: number, note?: string }) {
  const details = [boundsText(schema), note].filter(part => part !== '').join('; ')
  const isNested = depth < MAX_DEPTH && holdsMembers(schema, api)
  return (
    <div>
      <dt><code>{name}</code>{isRequired && <span class='required' title='it must be there'>*</span>} <span class='member-type'>{typeText(schema)}</span></dt>
      <dd>
        {schema.description !== undefined && <p>{schema.description}</p>}
        {details !== '' && <p class='muted small-text'>{details}</p>}
        {isNested && <Nested name={name} schema={schema} api={api} depth={depth + 1} />}
      </dd>
    </div>
  )
}

/** Made when it is opened: a reply may hold hundreds of members, few of which somebody looks for. */
function Nested ({ name, schema, api, depth }: { name: string, schema: Schema, api: ApiDocument, depth: number }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details class='nested' onToggle={event => setOpen(event.currentTarget.open)}>
      <summary aria-label={`members of ${name}`}>members</summary>
      {isOpen && <Shape schema={schema} api={api} depth={depth} />}
    </details>
  )
}
