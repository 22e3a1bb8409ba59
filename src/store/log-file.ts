import { createReadStream } from 'node:fs'
import { pipeline, Readable } from 'node:stream'
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
  /** Is told after each piece of the file how much of it was read: bytes as they are in the file, and events stored. */
  readonly onProgress?: (read: { readonly bytes: number, readonly stored: number }) => void
}

/** An envelope that the store refused, as HEC would; `number` counts the envelopes and lines of the file from 1. */
export interface RefusedItem { readonly number: number, readonly code: FaultCode }

/** What became of a file. All that was not stored is counted. */
export interface LogFileOutcome {
  readonly stored: number
  /** Lines and envelopes longer than an event may be. */
  readonly tooLong: number
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

/** So many refused items are named. */
const MAX_NAMED = 10

/**
 * Stores the events of a log file, plain or gzip as its first bytes say: envelopes as HEC takes them, and lines as its `/raw`, each with
 * its own time. Resolves when all are on disk. Throws AppError `invalid` where the file can't be read to its end; what came before is stored.
 * The store must not look for requests that are sent again: a log may say the same twice.
 */
export async function appendLogFile (events: EventStore, path: string, options: LogFileOptions): Promise<LogFileOutcome> {
  const cutter = openLogCutter(options.maxEventBytes)
  const totals = { stored: 0, refused: 0, skipped: 0 }
  const firstRefused: RefusedItem[] = []
  let number = 0
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES })

  const refuse = (count: number, code: FaultCode, first: number) => {
    totals.refused += count
    for (let i = 0; i < count && firstRefused.length < MAX_NAMED; i++) firstRefused.push({ number: first + i, code })
  }

  /** Items of one kind, in as many requests as it takes to get past those that are refused. */
  async function append (bytes: Uint8Array, items: readonly LogItem[]): Promise<void> {
    for (let from = 0; from < items.length;) {
      const left = items.slice(from)
      const { stored, skipped, fault } = await events.append(toRequest(bytes, left, options))
      totals.stored += stored
      totals.skipped += skipped
      if (fault === null) break
      // Of the faults a line can have, only an index that doesn't exist is left: it is that of all lines.
      const place = left[0]!.kind === 'line' ? 0 : fault.code === 7 ? fault.number - 1 : fault.number
      const count = left[0]!.kind === 'line' ? left.length : 1
      refuse(count, fault.code, number + from + place + 1)
      from += place + count
    }
    number += items.length
  }

  async function appendAll ({ bytes, items }: CutLog): Promise<void> {
    for (let start = 0; start < items.length;) {
      let end = start + 1
      while (end < items.length && end - start < MAX_REQUEST_ITEMS && items[end]!.kind === items[start]!.kind) end++
      await append(bytes, items.slice(start, end))
      start = end
    }
    options.onProgress?.({ bytes: file.bytesRead, stored: totals.stored })
  }

  try {
    for await (const piece of unzipped(path, file)) {
      if (options.signal?.aborted === true) throw new AppError('unavailable', 'the reading was stopped')
      await appendAll(cutter.cut(piece, false))
    }
  } finally {
    file.destroy()
  }
  await appendAll(cutter.cut(new Uint8Array(0), true))
  return { ...totals, tooLong: cutter.tooLong, firstRefused }
}

async function * unzipped (path: string, file: Readable): AsyncGenerator<Uint8Array> {
  try {
    const pieces = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const first = await pieces.next()
    if (first.done === true) return
    async function * all () {
      yield first.value
      for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value
    }
    const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b
    if (!isGzip) yield * all()
    else yield * pipeline(Readable.from(all()), createGunzip({ chunkSize: PIECE_BYTES }), () => {}) // its errors come out of the gunzip
  } catch (cause) { // of the reading alone: what the consumer throws doesn't come here
    throw new AppError('invalid', `${path} can't be read: ${(cause as Error).message}`, { cause })
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
