import { createReadStream } from 'node:fs'
import { addAbortSignal, pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FaultCode } from '../envelope/envelope.js'
import type { CutLog, LogItem } from '../envelope/log.js'
import { openLogCutter } from '../envelope/log.js'
import type { Metadata } from '../event.js'
import { AppError } from '../errors.js'
import type { AppendRequest, EventStore } from './events.js'

export interface LogFileOptions {
  /** What holds where an envelope says nothing. */
  readonly defaults: Metadata
  /** When the events arrive; it is the time of those that say none. */
  readonly arrivalUs: number
  readonly maxEventBytes: number
  readonly signal?: AbortSignal
  /** Is told again and again how much of the file was read, in bytes as they are in it, and how many events are stored. */
  readonly onProgress?: (read: { readonly bytes: number, readonly stored: number }) => void
}

/** An envelope that the store refused, as HEC would; `number` counts the envelopes and lines of the file from 1, `line` is where it begins. */
export interface RefusedItem { readonly number: number, readonly line: number, readonly code: FaultCode }

/** What became of a file. All that was not stored is counted. */
export interface LogFileOutcome {
  readonly stored: number
  /** Lines and envelopes longer than an event may be. */
  readonly tooLong: number
  /** The first lines where something was too long. */
  readonly firstTooLong: readonly number[]
  /** Lines that begin as a JSON object and are none; they are stored as text. */
  readonly broken: number
  /** The first of them. */
  readonly firstBroken: readonly number[]
  readonly refused: number
  /** The first of those that were refused. */
  readonly firstRefused: readonly RefusedItem[]
  /** Metrics without a measurement, which HEC takes and doesn't index. */
  readonly skipped: number
}

/** How much of the file is in memory at a time, beside one event. */
const PIECE_BYTES = 1 << 20

/** A fault ends the reading of a request, and what is behind it is sent again: so it may not be much. */
const MAX_REQUEST_ITEMS = 500

/**
 * So much may be on its way to the store while the file is read on: the writer has the next commit's worth when it is done with one, and the
 * memory is bounded; a larger request goes alone. With 8 MB a commit holds so many objects that collecting garbage costs 15 % of the rate.
 */
const MAX_BYTES_UNDERWAY = 4 << 20

/** So many refused items are named. */
const MAX_NAMED = 10

/**
 * Stores the events of a log file, plain or gzip as its first bytes say: envelopes as HEC takes them, and lines as its `/raw`, each with
 * its own time. Resolves when all are on disk. Throws AppError `invalid` where the file can't be read to its end; what came before is stored.
 * The store must not look for requests that are sent again: a log may say the same twice.
 */
export async function appendLogFile (events: EventStore, path: string, options: LogFileOptions): Promise<LogFileOutcome> {
  return appendLog(events, path, createReadStream(path, { highWaterMark: PIECE_BYTES }), options)
}

/** The same of a stream, which is closed in the end; `name` is what errors call it. */
export async function appendLog (events: EventStore, name: string, stream: Readable, options: LogFileOptions): Promise<LogFileOutcome> {
  const cutter = openLogCutter(options.maxEventBytes)
  const totals = { stored: 0, refused: 0, skipped: 0, broken: 0 }
  const firstRefused: RefusedItem[] = []
  const firstTooLong: number[] = []
  const firstBroken: number[] = []
  const underway = openUnderway(MAX_BYTES_UNDERWAY)
  let bytesRead = 0
  let number = 0

  /** Requests end in any order, where parts of them had to be sent again. */
  const refuse = (items: readonly LogItem[], code: FaultCode, first: number) => {
    totals.refused += items.length
    firstRefused.push(...items.slice(0, MAX_NAMED).map(({ line }, i) => ({ number: first + i, line, code })))
    firstRefused.sort((a, b) => a.number - b.number).splice(MAX_NAMED)
  }

  /** Items of one kind, in as many requests as it takes to get past those that are refused. */
  async function append (bytes: Uint8Array, items: readonly LogItem[], before: number): Promise<void> {
    for (let from = 0; from < items.length;) {
      const left = items.slice(from)
      const { stored, skipped, fault } = await events.append(toRequest(bytes, left, options))
      totals.stored += stored
      totals.skipped += skipped
      if (fault === null) break
      // Of the faults a line can have, only an index that doesn't exist is left: it is that of all lines.
      const place = left[0]!.kind === 'line' ? 0 : fault.code === 7 ? fault.number - 1 : fault.number
      const count = left[0]!.kind === 'line' ? left.length : 1
      refuse(left.slice(place, place + count), fault.code, before + from + place + 1)
      from += place + count
    }
    options.onProgress?.({ bytes: bytesRead, stored: totals.stored })
  }

  async function appendAll ({ bytes, items, tooLong }: CutLog): Promise<void> {
    firstTooLong.push(...tooLong.slice(0, MAX_NAMED - firstTooLong.length))
    for (const { line, isBroken } of items) if (isBroken && totals.broken++ < MAX_NAMED) firstBroken.push(line)
    for (let start = 0; start < items.length;) {
      let end = start + 1
      while (end < items.length && end - start < MAX_REQUEST_ITEMS && items[end]!.kind === items[start]!.kind) end++
      const part = items.slice(start, end)
      const before = number
      await underway.start(part.at(-1)!.end - part[0]!.start, () => append(bytes, part, before))
      number += part.length
      start = end
    }
  }

  const { signal } = options
  if (signal !== undefined) addAbortSignal(signal, stream) // also while nothing comes
  try {
    for await (const piece of unzipped(name, stream, count => { bytesRead += count })) {
      signal?.throwIfAborted()
      await appendAll(cutter.cut(piece, false))
    }
    await appendAll(cutter.cut(new Uint8Array(0), true))
  } catch (cause) {
    if (signal?.aborted === true) throw new AppError('unavailable', 'the reading was stopped', { cause })
    throw cause
  } finally {
    stream.destroy()
    await underway.end()
  }
  options.onProgress?.({ bytes: bytesRead, stored: totals.stored })
  return { ...totals, tooLong: cutter.tooLong, firstTooLong, firstBroken, firstRefused }
}

/** Runs work of a size as long as all that runs is no more than `maxBytes`. What fails is thrown by the next call. */
function openUnderway (maxBytes: number) {
  const running = new Set<Promise<void>>()
  let bytes = 0
  let failure: { readonly error: unknown } | null = null

  async function wait (isEnough: () => boolean): Promise<void> {
    while (!isEnough()) await Promise.race(running)
    if (failure !== null) throw failure.error
  }

  return {
    /** Resolves when there is room for it, and it has begun. */
    async start (size: number, work: () => Promise<void>): Promise<void> {
      await wait(() => running.size === 0 || bytes + size <= maxBytes)
      bytes += size
      const one: Promise<void> = work().catch((error: unknown) => { failure ??= { error } }).finally(() => {
        bytes -= size
        running.delete(one)
      })
      running.add(one)
    },
    /** Resolves when all has ended. */
    end: () => wait(() => running.size === 0),
  }
}

async function * unzipped (name: string, stream: Readable, onRead: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  try {
    const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const first = await pieces.next()
    if (first.done === true) return
    async function * all () {
      for (let next = first; next.done !== true; next = await pieces.next()) {
        onRead(next.value.length)
        yield next.value
      }
    }
    const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b
    if (!isGzip) yield * all()
    else yield * pipeline(Readable.from(all()), createGunzip({ chunkSize: PIECE_BYTES }), () => {}) // its errors come out of the gunzip
  } catch (cause) { // of the reading alone: what the consumer throws doesn't come here
    throw new AppError('invalid', `${name} can't be read: ${(cause as Error).message}`, { cause })
  }
}

function toRequest (bytes: Uint8Array, items: readonly LogItem[], { defaults, arrivalUs }: LogFileOptions): AppendRequest {
  const body = new Uint8Array(items.reduce((sum, { start, end }) => sum + end - start + 1, 0))
  let at = 0
  for (const { start, end } of items) {
    body.set(bytes.subarray(start, end), at)
    at += end - start
    body[at++] = 0x0a
  }
  return {
    body: body.buffer,
    format: items[0]!.kind === 'line' ? 'lines' : 'envelopes',
    arrivalUs,
    defaults,
    timeUs: null,
    timeFrom: 'event',
    fill: {},
    sender: '',
    allowedIndexes: null,
  }
}
