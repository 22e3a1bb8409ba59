import type { Finding } from '../finding.js'
import type { Message } from './message.js'

/** As in Splunk's alert actions: `$name$`, `$result.process_name$`. */
const TOKEN = /\$([^$\s]+)\$/g

/** Fills the places of a template: a body in the form that is to be sent, whose strings, not its keys, have places. What it becomes is text again only as JSON, so no value can leave its string. */
export function fillTemplate (template: unknown, message: Message): unknown {
  if (typeof template === 'string') return fillText(template, message)
  if (Array.isArray(template)) return template.map(one => fillTemplate(one, message))
  if (typeof template !== 'object' || template === null) return template
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillTemplate(value, message)]))
}

/** A string that is nothing but the place of a number becomes that number. */
function fillText (text: string, message: Message): unknown {
  const [, alone] = /^\$([^$\s]+)\$$/.exec(text) ?? []
  const value = alone === undefined ? undefined : valueOf(alone, message)
  if (typeof value === 'number') return value
  return text.replace(TOKEN, (_token, name: string) => toText(valueOf(name, message)))
}

/** A multivalue has its values on lines of their own (spl-semantics.md R102); what is not there is empty, as in Splunk's mails. */
function toText (value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.map(toText).join('\n')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function valueOf (name: string, { id, what, finding, writtenMs }: Message): unknown {
  switch (name) {
    case 'name': return finding.detection.name
    case 'search_name': return finding.detection.name
    case 'what': return what
    case 'delivery_id': return id
    case 'trigger_time': return Math.floor(writtenMs / 1000)
  }
  if (name.startsWith('result.')) return ownValue(finding.result, name.slice('result.'.length)) // a field's own name may have dots
  return name.startsWith('finding.') ? name.slice('finding.'.length).split('.').reduce<unknown>(ownValue, finding satisfies Finding) : undefined
}

function ownValue (from: unknown, key: string): unknown {
  return typeof from === 'object' && from !== null && Object.hasOwn(from, key) ? (from as Record<string, unknown>)[key] : undefined
}
