import type { Detection } from '../api-types.js'
import { Badge } from '../components/badge.js'

export function detectionPath (id: string): string {
  return `/detections/${encodeURIComponent(id)}`
}

export function stateOf ({ errors, enabled }: Detection): 'broken' | 'enabled' | 'disabled' {
  return errors.length > 0 ? 'broken' : enabled ? 'enabled' : 'disabled'
}

/** One whose file has broken goes on with what it could do last, where there is such. */
export function DetectionState ({ detection }: { detection: Detection }) {
  const state = stateOf(detection)
  if (state !== 'broken') return <Badge tone={state === 'enabled' ? 'good' : 'neutral'}>{state}</Badge>
  return detection.enabled && detection.definition !== null
    ? <Badge tone='warn' title='its file has errors; it runs as it last could'>broken, runs on</Badge>
    : <Badge tone='bad' title='its file has errors; it does not run'>broken</Badge>
}
