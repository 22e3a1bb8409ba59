import { compressSync, uncompressSync } from 'lz4-napi'

/** One event in a block: its envelope as it came, and when. */
export interface BlockItem { readonly envelope: Uint8Array, readonly indexTimeUs: number }

/**
 * A block of some hundred envelopes is LZ4 over: format (1 byte, this is 1), count (u32), the envelopes' lengths (u32 each),
 * their arrival times (f64 each), the envelopes. Numbers are little-endian; like stands beside like, so it compresses.
 */
const FORMAT = 1
const HEADER_BYTES = 5
const ITEM_BYTES = 12

/** More events or bytes than that begin a new block: large enough to compress well, small enough to read for one event. */
export const MAX_BLOCK_EVENTS = 256
export const MAX_BLOCK_BYTES = 1 << 20

export function encodeBlock (items: readonly BlockItem[]): Buffer {
  const headerBytes = HEADER_BYTES + items.length * ITEM_BYTES
  const block = Buffer.allocUnsafe(items.reduce((sum, { envelope }) => sum + envelope.length, headerBytes))
  block.writeUInt8(FORMAT, 0)
  block.writeUInt32LE(items.length, 1)
  let at = headerBytes
  items.forEach(({ envelope, indexTimeUs }, i) => {
    block.writeUInt32LE(envelope.length, HEADER_BYTES + i * 4)
    block.writeDoubleLE(indexTimeUs, HEADER_BYTES + items.length * 4 + i * 8)
    block.set(envelope, at)
    at += envelope.length
  })
  return compressSync(block)
}

/** The items in the order of their ids; their bytes are views of one buffer. */
export function decodeBlock (data: Buffer): BlockItem[] {
  const block = uncompressSync(data)
  const format = block.readUInt8(0)
  if (format !== FORMAT) throw new Error(`unknown block format ${format}`)
  const count = block.readUInt32LE(1)
  const items: BlockItem[] = []
  let at = HEADER_BYTES + count * ITEM_BYTES
  for (let i = 0; i < count; i++) {
    const length = block.readUInt32LE(HEADER_BYTES + i * 4)
    const indexTimeUs = block.readDoubleLE(HEADER_BYTES + count * 4 + i * 8)
    items.push({ envelope: block.subarray(at, at + length), indexTimeUs })
    at += length
  }
  return items
}
