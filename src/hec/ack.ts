import { HecError } from './reply.js'

/** Splunk's limits (limits.conf and inputs.conf by hec.md section 6). */
export const ACK_LIMITS = {
  channels: 1_000_000,
  pending: 10_000_000,
  pendingPerChannel: 1_000_000,
  /** A channel that was not used for that long is forgotten; its ids begin at 0 again. */
  idleMs: 600_000,
}

interface Channel {
  nextId: number
  /** Ids that were given and not asked for since. Their events are on disk: an id is given when they are. */
  readonly pending: Set<number>
  /** Requests under way, which will get an id. */
  reserved: number
  usedMs: number
}

/** A place for the id of one request: use it once, or give it back. */
export interface AckPlace {
  /** The id, from 0 in each channel; it is true for the first poll. */
  give (): number
  /** Gives the place back if it has no id yet. */
  release (): void
}

/**
 * Indexer acknowledgement. Ids live in memory, as Splunk's do; after a restart channels begin again. A channel belongs to its
 * token, so no sender can take another's receipts.
 */
export function openAcks (limits: typeof ACK_LIMITS = ACK_LIMITS) {
  const channels = new Map<string, Channel>() // the one that was used last is last
  let taken = 0 // ids that are pending, and places for more

  function touch (key: string, channel: Channel, nowMs: number): void {
    channel.usedMs = nowMs
    channels.delete(key)
    channels.set(key, channel)
  }

  function forgetIdle (nowMs: number): void {
    for (const [key, channel] of channels) {
      if (channel.usedMs > nowMs - limits.idleMs) return
      if (channel.reserved > 0) touch(key, channel, nowMs)
      else {
        taken -= channel.pending.size
        channels.delete(key)
      }
    }
  }

  function channelOf (key: string): Channel {
    const known = channels.get(key)
    if (known !== undefined) return known
    if (channels.size >= limits.channels) throw new HecError(9)
    return { nextId: 0, pending: new Set(), reserved: 0, usedMs: 0 }
  }

  return {
    /** Keeps a place for the id of a request. Throws HecError 9 at a limit (Splunk 429 code 27 in newer versions). */
    reserve (key: string, nowMs: number): AckPlace {
      forgetIdle(nowMs)
      const channel = channelOf(key)
      if (taken >= limits.pending || channel.pending.size + channel.reserved >= limits.pendingPerChannel) throw new HecError(9)
      touch(key, channel, nowMs)
      taken++
      channel.reserved++
      let open = true
      const close = (): void => {
        open = false
        channel.reserved--
      }
      return {
        give () {
          if (!open) throw new Error('a place for one id was used twice')
          close()
          channel.pending.add(channel.nextId)
          return channel.nextId++
        },
        release () {
          if (!open) return
          close()
          taken--
          // A channel without a single id is none: nothing of it could be asked for.
          if (channel.nextId === 0 && channel.reserved === 0) channels.delete(key)
        },
      }
    },
    /** Which ids are acknowledged; each is so once. */
    query (key: string, ids: ReadonlySet<number>, nowMs: number): Map<number, boolean> {
      forgetIdle(nowMs)
      const channel = channels.get(key)
      if (channel !== undefined) touch(key, channel, nowMs)
      const acks = new Map<number, boolean>()
      for (const id of ids) {
        const isAcked = channel?.pending.delete(id) ?? false
        if (isAcked) taken--
        acks.set(id, isAcked)
      }
      return acks
    },
    /** Channels and pending ids at `nowMs`. */
    count (nowMs: number): { channels: number, pending: number } {
      forgetIdle(nowMs)
      return { channels: channels.size, pending: taken }
    },
    /** Whether no channel would be given another id. */
    isFull: (): boolean => taken >= limits.pending,
  }
}
export type Acks = ReturnType<typeof openAcks>

/** The ids that a poll asks for: `{"acks":[0,1]}`. Throws HecError 6 where the body is none. */
export function parseAckQuery (body: ArrayBuffer): ReadonlySet<number> {
  let query: unknown
  try {
    query = JSON.parse(Buffer.from(body).toString())
  } catch {
    throw new HecError(6)
  }
  const ids = typeof query === 'object' && query !== null ? (query as { acks?: unknown }).acks : undefined
  if (!Array.isArray(ids) || !ids.every(Number.isSafeInteger)) throw new HecError(6)
  return new Set(ids as number[])
}

/** The answer to a poll: every id that was asked for, as text, with true or false. */
export function emitAcks (acks: ReadonlyMap<number, boolean>): string {
  const members: string[] = []
  for (const [id, isAcked] of acks) members.push(`"${id}":${isAcked}`)
  return `{"acks":{${members.join(',')}}}`
}

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The channel of a request, in lower case: from the header, else from the query. Throws HecError 10, 11. */
export function requireChannel (header: string | undefined, query: unknown): string {
  const channel = channelText(header, query)
  if (channel === '') throw new HecError(10)
  if (!GUID.test(channel)) throw new HecError(11)
  return channel.toLowerCase()
}

/** The channel as it was given; empty without. */
export function channelText (header: string | undefined, query: unknown): string {
  const first: unknown = header?.trim() || (Array.isArray(query) ? query[0] : query)
  return typeof first === 'string' ? first.trim() : ''
}
