import { crc32 } from 'node:zlib'
import type { Sent } from './crash-requests.js'
import { API_KEY } from './processes.js'

interface StoredEvent { readonly id: number, readonly event: unknown, readonly raw: string }

const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }

/** What the API has shown of the requests, as far as it was read. */
export function openStored () {
  const placesOf = new Map<number, number[]>()
  let count = 0
  let lastId = 0
  /** Where the last page begins: more may be on it by now. */
  let cursor = ''

  /** Reads what came since it was last called, in the order of ids; gives what is wrong with it. */
  async function read (port: number, sent: readonly Sent[], signal: AbortSignal): Promise<string[]> {
    const faults: string[] = []
    let idBefore = 0
    for (let next: string | null = cursor; next !== null;) {
      cursor = next
      const page: { items: readonly StoredEvent[], next_cursor: string | null } = await ask(port, `events?order_by=id&limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`, { signal })
      for (const event of page.items) {
        if (event.id <= idBefore) faults.push(`id ${event.id} comes after ${idBefore}`)
        idBefore = event.id
        if (event.id > lastId) take(event, sent, faults)
      }
      next = page.next_cursor
    }
    return faults
  }

  function take ({ id, event, raw }: StoredEvent, sent: readonly Sent[], faults: string[]): void {
    lastId = id
    count++
    const [request, place] = originOf(event)
    if (sent[request]?.checksums[place] !== crc32(raw)) {
      faults.push(`event ${id} is as nobody sent it: ${raw.slice(0, 80)}`)
      return
    }
    const places = placesOf.get(request)
    if (places === undefined) placesOf.set(request, [place])
    else places.push(place)
  }

  return {
    count: () => count,
    read,
    /** The places of the request's events, in the order of storing. */
    placesOf: (request: number): readonly number[] => placesOf.get(request) ?? [],
  }
}
export type Stored = ReturnType<typeof openStored>

/** Whether all that is stored of a request are whole copies, one behind the other, and as many as may be. `mostCopies` is Infinity where each time that it was sent may have left one. */
export function isRight ({ checksums: { length }, times, isAcknowledged }: Sent, places: readonly number[], mostCopies: number): boolean {
  const copies = places.length / length
  return places.every((place, i) => place === i % length) && Number.isInteger(copies) && copies >= (isAcknowledged ? 1 : 0) && copies <= Math.min(times, mostCopies)
}

/** How many events there are by a search. */
export async function countEvents (port: number, signal: AbortSignal): Promise<number> {
  const { rows } = await ask(port, 'search', { method: 'POST', body: JSON.stringify({ search: '* | stats count' }), signal }) as { rows: [{ count: number }] }
  return rows[0].count
}

/** The request's number and the event's place in it; a line of `/raw` is text. */
function originOf (event: unknown): readonly [request: number, place: number] {
  try {
    const { sent } = (typeof event === 'string' ? JSON.parse(event) : event) as { sent: [number, number] }
    return sent
  } catch {
    return [-1, -1]
  }
}

async function ask<Reply> (port: number, path: string, init: RequestInit): Promise<Reply> {
  const reply = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { ...init, headers })
  if (reply.status !== 200) throw new Error(`${path}: status ${reply.status}, ${await reply.text()}`)
  return await reply.json() as Reply
}
