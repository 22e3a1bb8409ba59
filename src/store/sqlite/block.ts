import { Decoder, Encoder } from '@toondepauw/node-zstd'
import { uncompressSync } from 'lz4-napi'
import { openProvenZstd } from './proven-zstd.js'

/** One event in a block, as it came, and when. */
export interface BlockItem {
  /** Envelope: HEC's JSON. Line: text of `/raw`. */
  readonly kind: 'envelope' | 'line'
  readonly bytes: Uint8Array
  readonly indexTimeUs: number
  /** Fields that the event got because it had none of their names: JSON text of an object. Null where none. */
  readonly filled: string | null
}

/**
 * A block of some hundred events is zstd over: format (1 byte, this is 1), count (u32), the lengths (u32 each), the arrival times
 * (f64 each), the kinds (u8 each), which text of the last part was filled in (u32 each, from 1; 0 is none), the envelopes
 * and lines, a JSON array of the texts filled in. Numbers are little-endian; like stands beside like, so it compresses.
 */
const FORMAT = 1
const HEADER_BYTES = 5
const ITEM_BYTES = 4 + 8 + 1 + 4

/** Level 1: a third smaller than LZ4 for a third more time; 2 to 4 take twice as long for a fiftieth. */
const encoder = new Encoder(1)
/** Level 9: a fifth to a quarter smaller than level 1 for five times as much time; 12 takes three times as long again for a fiftieth. */
const pack = openProvenZstd(9)
const decoder = new Decoder()

const KINDS = ['envelope', 'line'] as const

/** More events or bytes than that begin a new block: large enough to compress well, small enough to read for one event. */
export const MAX_BLOCK_EVENTS = 512
export const MAX_BLOCK_BYTES = 5 << 19

/** So many events or bytes at most are merged into one block: half of it, since the writer takes no events meanwhile. */
export const MAX_MERGED_EVENTS = MAX_BLOCK_EVENTS / 2
export const MAX_MERGED_BYTES = MAX_BLOCK_BYTES / 2

export function encodeBlock (items: readonly BlockItem[]): Buffer {
  return encoder.encodeSync(layOut(items))
}

/** The same in fewer bytes, for who has time. */
export function packBlock (items: readonly BlockItem[]): Buffer {
  return pack(layOut(items))
}

/** Of blocks of the usual size, so that none takes a megabyte of fresh memory, which the system has to clear first. */
let scratch = Buffer.alloc(0)
const MAX_SCRATCH_BYTES = 8 << 20

function scratchOf (size: number): Buffer {
  if (size > MAX_SCRATCH_BYTES) return Buffer.allocUnsafe(size)
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(size + (size >> 2))
  return scratch.subarray(0, size)
}

/** Good until the next block is laid out. */
function layOut (items: readonly BlockItem[]): Buffer {
  const texts = [...new Set(items.flatMap(({ filled }) => filled ?? []))]
  const tail = Buffer.from(JSON.stringify(texts))
  const { length: count } = items
  const headerBytes = HEADER_BYTES + count * ITEM_BYTES
  const block = scratchOf(items.reduce((sum, { bytes }) => sum + bytes.length, headerBytes + tail.length))
  block.writeUInt8(FORMAT, 0)
  block.writeUInt32LE(count, 1)
  const { times, kinds, filledAt } = offsets(count)
  let at = headerBytes
  items.forEach(({ kind, bytes, indexTimeUs, filled }, i) => {
    block.writeUInt32LE(bytes.length, HEADER_BYTES + i * 4)
    block.writeDoubleLE(indexTimeUs, times + i * 8)
    block.writeUInt8(KINDS.indexOf(kind), kinds + i)
    block.writeUInt32LE(filled === null ? 0 : texts.indexOf(filled) + 1, filledAt + i * 4)
    block.set(bytes, at)
    at += bytes.length
  })
  block.set(tail, at)
  return block
}

/** The items in the order of their ids; their bytes are views of one buffer. */
export function decodeBlock (data: Buffer): BlockItem[] {
  return readItems(decoder.decodeSync(data))
}

/** Blocks of schema 1 are LZ4 over the same. */
export function decodeLz4Block (data: Buffer): BlockItem[] {
  return readItems(uncompressSync(data))
}

function readItems (block: Buffer): BlockItem[] {
  const format = block.readUInt8(0)
  if (format !== FORMAT) throw new Error(`unknown block format ${format}`)
  const count = block.readUInt32LE(1)
  const { times, kinds, filledAt } = offsets(count)
  const ends: number[] = []
  let end = HEADER_BYTES + count * ITEM_BYTES
  for (let i = 0; i < count; i++) ends.push(end += block.readUInt32LE(HEADER_BYTES + i * 4))
  const texts = JSON.parse(block.toString('utf8', end)) as string[]
  let at = HEADER_BYTES + count * ITEM_BYTES
  return ends.map((end, i) => {
    const kind = KINDS[block.readUInt8(kinds + i)]
    if (kind === undefined) throw new Error('unknown kind of event in a block')
    const item: BlockItem = {
      kind,
      bytes: block.subarray(at, end),
      indexTimeUs: block.readDoubleLE(times + i * 8),
      filled: texts[block.readUInt32LE(filledAt + i * 4) - 1] ?? null,
    }
    at = end
    return item
  })
}

function offsets (count: number) {
  const times = HEADER_BYTES + count * 4
  const kinds = times + count * 8
  return { times, kinds, filledAt: kinds + count }
}
