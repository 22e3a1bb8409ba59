import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { useKeys } from '../keys.js'
import { useRouter } from '../router.js'

export interface Option { readonly value: string, readonly label: string }

/** A filter is a member of the address's query of the same name; `several` may have many values. `none` says what it is without one: any. */
export type Filter =
  | { readonly kind: 'text', readonly name: string, readonly label: string, readonly placeholder?: string }
  | { readonly kind: 'one' | 'several', readonly name: string, readonly label: string, readonly options: readonly Option[], readonly none?: string }

/** What the list is narrowed by. The address has it, so that a link leads to the same list; another filter begins at the first page. */
export function FilterBar ({ filters, also = [] }: { filters: readonly Filter[], also?: readonly string[] }) {
  const { query, setQuery } = useRouter()
  const bar = useRef<HTMLFormElement>(null)
  const [isUnfolded, setUnfolded] = useState(false) // of a narrow screen
  useKeys('List', [{ keys: '/', label: 'Go to the filters', run: () => bar.current?.querySelector<HTMLElement>('input, select, summary')?.focus() }])
  const set = (name: string, value: string | readonly string[] | null) => setQuery({ [name]: value, cursor: null })
  const active = filters.filter(({ name }) => query.getAll(name).length > 0)
  const clear = () => setQuery(Object.fromEntries([...filters.map(({ name }) => name), ...also, 'cursor'].map(name => [name, null])))
  return (
    <form ref={bar} class={`filter-bar${isUnfolded ? '' : ' folded'}`} role='search' aria-label='Filters' onSubmit={event => event.preventDefault()}>
      <button type='button' class='filter-toggle' aria-expanded={isUnfolded} onClick={() => setUnfolded(!isUnfolded)}>Filters{active.length > 0 && ` (${active.length})`}</button>
      {filters.map(filter => {
        switch (filter.kind) {
          case 'text': return <TextFilter key={filter.name} filter={filter} value={query.get(filter.name) ?? ''} onChange={value => set(filter.name, value === '' ? null : value)} />
          case 'one': return (
            <label key={filter.name} class='field'>
              <span>{filter.label}</span>
              <select value={query.get(filter.name) ?? ''} onChange={event => set(filter.name, event.currentTarget.value === '' ? null : event.currentTarget.value)}>
                <option value=''>{filter.none ?? 'any'}</option>
                {filter.options.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
              </select>
            </label>
          )
          case 'several': return <SeveralFilter key={filter.name} filter={filter} values={query.getAll(filter.name)} onChange={values => set(filter.name, values)} />
          default: return filter satisfies never
        }
      })}
      {active.length > 0 && <button type='button' class='quiet' onClick={clear}>Clear filters</button>}
    </form>
  )
}

/** Taken over when the typing ends. */
const TYPING_MS = 350

function TextFilter ({ filter: { label, placeholder }, value, onChange }: { filter: Filter & { kind: 'text' }, value: string, onChange: (value: string) => void }) {
  const [text, setText] = useState(value)
  const told = useRef(value)
  useEffect(() => {
    if (value !== told.current) setText(value) // by back, or a link
    told.current = value
  }, [value])
  useEffect(() => {
    if (text.trim() === told.current) return
    const timer = setTimeout(() => {
      told.current = text.trim()
      onChange(told.current)
    }, TYPING_MS)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <label class='field'>
      <span>{label}</span>
      <input type='search' value={text} placeholder={placeholder ?? ''} onInput={event => setText(event.currentTarget.value)} spellcheck={false} autocomplete='off' />
    </label>
  )
}

function SeveralFilter ({ filter: { label, options }, values, onChange }: { filter: Filter & { kind: 'one' | 'several' }, values: readonly string[], onChange: (values: readonly string[]) => void }) {
  const id = useId()
  const box = useRef<HTMLDetailsElement>(null)
  useEffect(() => {
    const onOutside = (event: Event) => {
      if (box.current?.open === true && !box.current.contains(event.target as Node)) box.current.open = false
    }
    document.addEventListener('pointerdown', onOutside)
    document.addEventListener('focusin', onOutside)
    return () => {
      document.removeEventListener('pointerdown', onOutside)
      document.removeEventListener('focusin', onOutside)
    }
  }, [])
  const shown = values.map(value => options.find(one => one.value === value)?.label ?? value)
  return (
    <div class='field'>
      <span id={id}>{label}</span>
      <details
        ref={box} class='several'
        onKeyDown={event => {
          if (event.key !== 'Escape' || box.current === null) return
          box.current.open = false
          box.current.querySelector('summary')?.focus()
        }}
      >
        <summary aria-labelledby={`${id} ${id}-value`}><span id={`${id}-value`}>{shown.length === 0 ? 'any' : shown.length > 2 ? `${shown.length} chosen` : shown.join(', ')}</span></summary>
        <div class='choices' role='group' aria-labelledby={id}>
          {options.map(({ value, label: text }) => (
            <label key={value}>
              <input type='checkbox' checked={values.includes(value)} onChange={event => onChange(event.currentTarget.checked ? [...values, value] : values.filter(one => one !== value))} />
              {text}
            </label>
          ))}
        </div>
      </details>
    </div>
  )
}
