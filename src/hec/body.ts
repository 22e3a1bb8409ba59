import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { isAlone, letGo } from './memory.js'
import { HecError } from './reply.js'

/**
 * Bytes of request bodies that are held in memory at one time, from their arrival until they are on disk: what is stored in some 50 ms. Who comes when there are more is
 * told to come again.
 */
export const MAX_BYTES_IN_FLIGHT = 8 << 20

/** What a single large request may hold beside them. */
export const MAX_LARGE_BYTES = 128 << 20

/** What one request has taken of the budget. */
export interface Share {
  /** Not a getter: V8 would make a hidden class of each, which only its large collection takes away. */
  bytes (): number
  /** Takes so many more if there is room; else nothing. */
  tryTake (count: number): boolean
  /** Gives all of it back. */
  release (): void
}

/**
 * Counts bytes in flight, `limit` of all requests together. A large one, of more than half of that, is not among them: it may take up to `largest` while there is no other
 * large one. Among small ones, of which there are always some, it would never have room, and they would have none beside it.
 */
export function openByteBudget (limit: number, largest: number = limit) {
  let together = 0
  let large: Share | null = null
  const isLarge = (count: number): boolean => largest > limit && count > limit / 2
  return {
    largest,
    get bytes () { return together + (large?.bytes() ?? 0) },
    /** Whether there is no room for a small request. */
    get isFull () { return together >= limit },
    /** Whether a request of so many bytes would have room now. */
    hasRoom: (count: number): boolean => isLarge(count) ? large === null && count <= largest : together + count <= limit,
    /** `declared`: how many bytes the request says that it has. */
    open (declared: number): Share {
      let own = 0
      const share: Share = {
        bytes: () => own,
        tryTake (count) {
          const total = own + count
          if (!isLarge(Math.max(declared, total))) {
            if (together + count > limit) return false
            together += count
          } else {
            if (large === null) {
              large = share
              together -= own
            }
            if (large !== share || total > largest) return false
          }
          own = total
          return true
        },
        release () {
          if (large === share) large = null
          else together -= own
          own = 0
        },
      }
      return share
    },
  }
}
export type ByteBudget = ReturnType<typeof openByteBudget>

/** A body in memory of its own, so that it can be moved to the writer, and what it has taken of the budget. */
export interface CollectedBody { readonly body: ArrayBuffer, readonly share: Share }

interface BodyOptions {
  readonly gzip: boolean
  readonly maxBytes: number
  /** As its Content-Length; 0 where there is none. */
  readonly declared: number
  readonly budget: ByteBudget
}

/**
 * Collects a body, gunzipped where it is gzip. Throws HecError: 413 above `maxBytes`, before or after gunzipping; 9 where the
 * budget has no room, 6 where gzip does not decode. But for 413 the rest is read first, so that the client sees the reply
 * and the connection can be used again. On an error nothing stays taken.
 */
export function collectBody (stream: Readable, { gzip, maxBytes, declared, budget }: BodyOptions): Promise<CollectedBody> {
  const held = openHeld(maxBytes, budget.open(declared))
  return gzip ? collectGzip(stream, held, maxBytes) : collectPlain(stream, held)
}

interface StreamEvents {
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
  /** The client is gone. */
  readonly onGone: (error?: Error) => void
}

/** Reads a stream by its events: walking it as an iterator takes longer than all the rest of a small request. Gives what ends the listening. */
function listen (stream: Readable, { onData, onEnd, onGone }: StreamEvents): () => void {
  stream.on('data', onData)
  stream.on('end', onEnd)
  stream.on('error', onGone)
  stream.on('close', onGone)
  return () => {
    stream.off('data', onData)
    stream.off('end', onEnd)
    stream.off('error', onGone)
    stream.off('close', onGone)
  }
}

function collectPlain (stream: Readable, held: Held): Promise<CollectedBody> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      held.take(chunk)
      if (held.refusal()?.status !== 413) return
      stream.pause() // the rest is nobody's
      onEnd()
    }
    const onEnd = () => {
      leave()
      const refusal = held.refusal()
      if (refusal === null) resolve(held.join())
      else reject(refusal)
    }
    const onGone = (error: Error = Object.assign(new Error('the client is gone'), { code: 'ECONNRESET' })) => {
      leave()
      held.release()
      reject(error)
    }
    const leave = listen(stream, { onData, onEnd, onGone })
  })
}

async function collectGzip (stream: Readable, held: Held, maxBytes: number): Promise<CollectedBody> {
  const gunzip = openGunzip(held)
  try {
    let received = 0
    // Leaving the loop must not destroy the stream: the connection under it has to carry the reply.
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > maxBytes) held.refuse(tooLarge())
      if (held.refusal() === null) await gunzip.write(chunk)
      if (held.refusal()?.status === 413) break
    }
    // An empty body is no data, not broken gzip (hec.md 4.1).
    if (received > 0 && held.refusal() === null) await gunzip.end()
  } catch (error) {
    held.release()
    throw error // the client is gone
  } finally {
    gunzip.destroy()
  }
  const refusal = held.refusal()
  if (refusal !== null) throw refusal
  return held.join()
}

/** Reads what is left of a body that nobody wants, up to `maxBytes`; says whether it has come to its end. */
export function discardBody (stream: Readable, maxBytes: number): Promise<boolean> {
  if (stream.readableEnded || stream.destroyed) return Promise.resolve(stream.readableEnded)
  return new Promise(resolve => {
    let received = 0
    const leave = (isWhole: boolean) => {
      endListening()
      resolve(isWhole)
    }
    const endListening = listen(stream, {
      onData (chunk) {
        received += chunk.length
        letGo([chunk]) // who sends on and on what is refused would fill the memory with it
        if (received <= maxBytes) return
        stream.pause()
        leave(false)
      },
      onEnd: () => leave(true),
      onGone: () => leave(false),
    })
  })
}

function tooLarge (): HecError {
  return new HecError(6, 413, 'Content too large')
}

/** The part of a body that has arrived. The first refusal stands; with it everything held is let go. */
function openHeld (maxBytes: number, share: Share) {
  let chunks: Buffer[] = []
  let refusal: HecError | null = null

  function release (): void {
    share.release()
    letGo(chunks)
    chunks = []
  }

  function refuse (error: HecError): void {
    refusal ??= error
    release()
  }

  return {
    refusal: () => refusal,
    refuse,
    release,
    take (chunk: Buffer): void {
      chunks.push(chunk)
      if (refusal !== null) return release()
      if (share.bytes() + chunk.length > maxBytes) return refuse(tooLarge())
      if (!share.tryTake(chunk.length)) refuse(new HecError(9))
    },
    /** The whole body; nobody else may look at its chunks any more. */
    join (): CollectedBody {
      const [first] = chunks
      if (chunks.length === 1 && isAlone(first!)) return { body: first!.buffer as ArrayBuffer, share }
      const body = Buffer.allocUnsafeSlow(share.bytes()) // not Buffer.concat: a small one would lie in the shared pool, which can't be moved
      let at = 0
      for (const chunk of chunks) {
        body.set(chunk, at)
        at += chunk.length
      }
      letGo(chunks)
      return { body: body.buffer as ArrayBuffer, share }
    },
  }
}
type Held = ReturnType<typeof openHeld>

/** Gunzips piece by piece into what is held; stops as soon as something is refused, so that a bomb never unfolds. */
function openGunzip (held: Held) {
  const gunzip = createGunzip()
  gunzip.on('data', (chunk: Buffer) => {
    held.take(chunk)
    if (held.refusal() !== null) gunzip.destroy()
  })
  gunzip.on('error', () => held.refuse(new HecError(6)))
  return {
    /** Resolves when the piece is through, or nothing more will come. */
    write: (chunk: Buffer) => new Promise<void>(resolve => {
      gunzip.once('close', resolve)
      gunzip.write(chunk, () => {
        gunzip.off('close', resolve)
        resolve()
      })
    }),
    destroy: () => { gunzip.destroy() },
    end: () => new Promise<void>(resolve => {
      gunzip.once('close', resolve)
      gunzip.end()
    }),
  }
}
