import { openAcks, emitAcks, parseAckQuery } from '../src/hec/ack.js'

/** What acknowledgement keeps in memory, measured in a process of its own that is run with --expose-gc. */
export interface AckMemoryFigures { readonly channels: number, readonly pending: number, readonly bytes: number, readonly pollMs: number | null }

const CASES = [
  { channels: 10_000, idsPerChannel: 100 },
  { channels: 1, idsPerChannel: 1_000_000 },
  { channels: 1_000_000, idsPerChannel: 1 },
]

const figures = CASES.map(({ channels, idsPerChannel }): AckMemoryFigures => {
  const before = residentBytes()
  const acks = openAcks()
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < idsPerChannel; i++) acks.reserve(keyOf(channel), 0).give()
  }
  const bytes = residentBytes() - before
  const { pending } = acks.count(0)
  // A poll that asks for every id of the channel, body to answer, as the server's main thread does it.
  const body = Uint8Array.from(Buffer.from(JSON.stringify({ acks: Array.from({ length: idsPerChannel }, (_, id) => id) }))).buffer
  const startMs = performance.now()
  emitAcks(acks.query(keyOf(0), parseAckQuery(body), 0))
  return { channels, pending, bytes, pollMs: channels === 1 ? performance.now() - startMs : null }
})
process.send?.(figures)

function keyOf (channel: number): string {
  return `${'0'.repeat(64)} 00000000-0000-4000-8000-${String(channel).padStart(12, '0')}`
}

function residentBytes (): number {
  globalThis.gc?.()
  return process.memoryUsage().rss
}
