import { useEffect, useState } from 'preact/hooks'
import type { Finding } from './api-types.js'
import type { QueryValue } from './api.js'
import { toUrl } from './api.js'
import { useLatest } from './query.js'

const KINDS = ['created', 'revised', 'gone', 'changed'] as const

export interface StreamListener {
  readonly on: (kind: typeof KINDS[number], finding: Finding) => void
  /** Changes have been missed: what is shown has to be asked for again. */
  readonly onReset: () => void
}

/** A stream that was refused is asked for again so much later. */
const AGAIN_MS = 15_000

/**
 * What becomes of the findings that meet a filter, as it does. A hidden tab listens to nothing: browsers have few connections to a server. Once it is seen
 * again it goes on behind the last message. The state says whether it listens.
 */
export function useFindingStream (query: Readonly<Record<string, QueryValue>>, listener: StreamListener): 'live' | 'waiting' {
  const latest = useLatest(listener)
  const [state, setState] = useState<'live' | 'waiting'>('waiting')
  const url = toUrl('/findings/stream', query)
  useEffect(() => {
    let source: EventSource | null = null
    let lastId = ''
    let timer: number | undefined
    const close = () => {
      window.clearTimeout(timer)
      source?.close()
      source = null
      setState('waiting')
    }
    const open = () => {
      close()
      if (document.hidden) return
      const opened = new EventSource(lastId === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${new URLSearchParams({ last_event_id: lastId })}`)
      source = opened
      opened.onopen = () => setState('live')
      opened.onerror = () => {
        setState('waiting')
        if (opened.readyState === EventSource.CLOSED) timer = window.setTimeout(open, AGAIN_MS) // else the browser tries again by itself
      }
      for (const kind of KINDS) {
        opened.addEventListener(kind, (event: MessageEvent<string>) => {
          lastId = event.lastEventId
          latest.current.on(kind, JSON.parse(event.data) as Finding)
        })
      }
      opened.addEventListener('reset', (event: MessageEvent<string>) => {
        lastId = event.lastEventId
        latest.current.onReset()
      })
    }
    open()
    document.addEventListener('visibilitychange', open)
    return () => {
      document.removeEventListener('visibilitychange', open)
      close()
    }
  }, [url, latest])
  return state
}
