import type { ComponentChildren } from 'preact'
import type { FindingStatus, Severity } from '../api-types.js'
import { words } from '../text.js'

export type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info'

/** A word about a state. The tone is never all that says it: the word does. */
export function Badge ({ tone = 'neutral', title, children }: { tone?: Tone, title?: string, children: ComponentChildren }) {
  return <span class={`badge ${tone}`} title={title}>{children}</span>
}

/** The worst first. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational'] as const satisfies readonly Severity[]

/** A shape each, for those who see no difference of colour. */
const SHAPES: Readonly<Record<Severity, string>> = {
  critical: 'M8 1 15 8 8 15 1 8Z',
  high: 'M8 2 15 14H1Z',
  medium: 'M2.5 2.5h11v11h-11Z',
  low: 'M8 14 1 2h14Z',
  informational: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 2.2a3.8 3.8 0 1 1 0 7.6 3.8 3.8 0 0 1 0-7.6Z',
}

export function SeverityBadge ({ severity }: { severity: Severity }) {
  return (
    <span class={`severity ${severity}`}>
      <svg viewBox='0 0 16 16' width='12' height='12' aria-hidden='true'><path d={SHAPES[severity]} /></svg>
      {severity}
    </span>
  )
}

const STATUS_TONES: Readonly<Record<FindingStatus, Tone>> = { new: 'info', in_progress: 'warn', pending: 'warn', resolved: 'good', closed: 'neutral' }

export function StatusBadge ({ status }: { status: FindingStatus }) {
  return <Badge tone={STATUS_TONES[status]}>{words(status)}</Badge>
}
