import { isAscii } from 'node:buffer'
import type { KeyTree } from '../json.js'
import { MAX_JSON_DEPTH } from '../event.js'
import { PROJECTION_WASM } from './projection-wasm.js'
import type { ParsedObject } from './split.js'

/** What wasm/projection.ts exports. Places are in its memory. */
interface ProjectionExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly spansAt: { readonly value: number }
  readonly treeAt: { readonly value: number }
  readonly treeEnd: { readonly value: number }
  readonly inputAt: { readonly value: number }
  readonly inputBytes: { readonly value: number }
  readonly outputAt: { readonly value: number }
  outputEnd (): number
  project (start: number, length: number, depth: number, node: number): number
}

/** Of the standard, as much as is used here: Node's types don't have it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

/** What the compiled code tells keys by: their bytes, as they stand in the JSON where nothing is escaped. */
const PLAIN_KEY = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/

const WHOLE = 1
const NODE_BYTES = 8
const SLOT_BYTES = 12
/** Keys are compared sixteen bytes at a time. */
const KEY_PAD_BYTES = 16

/** Reads the objects of one body. */
export interface Projection {
  /** Some of the objects from `at` on, one behind the other; none where none is there, or none that it is sure of. */
  read (at: number): readonly ParsedObject[]
}

/** A body with as many objects that can't be projected is read without: each costs a look at what comes behind it. */
const MAX_REFUSALS = 8

/** The objects of a body one by one. */
export function openProjected (projection: Projection) {
  let objects: readonly ParsedObject[] = []
  let place = 0
  let refusals = 0
  return {
    /** The object that begins at an offset, which only grows; null where none does, or none that it is sure of, and after too many of these. */
    at (at: number): ParsedObject | null {
      while (place < objects.length && objects[place]!.start < at) place++
      if (place === objects.length && refusals < MAX_REFUSALS) {
        objects = projection.read(at)
        place = 0
      }
      const object = objects[place]
      if (object?.start === at) return object
      refusals++
      return null
    },
    /** Of one that is of no use: to look for it has cost as much. */
    refuse (): void { refusals++ },
  }
}

/** Opens bodies, of envelopes or of bare events. Each is best read to its end before the next: in turns, each turn copies anew what it reads. */
export type Projector = (body: Uint8Array, holds: 'envelopes' | 'events') => Projection

/**
 * Reads objects of which only those members of an event are needed that a tree names. An envelope is given with all else, and with an `event` that is no object. Whether
 * an object is JSON, and what is given of it, is as JSON.parse has it, at a third of its price: most of an event need not become objects and strings. Null
 * where the tree has keys that can't be told by their bytes, or too many.
 */
export function openProjector (eventKeys: KeyTree): Projector | null {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(PROJECTION_WASM, 'base64')))
  const wasm = exports as ProjectionExports
  const { spansAt: { value: spansAt }, inputAt: { value: inputAt }, inputBytes: { value: inputBytes }, outputAt: { value: outputAt } } = wasm
  const memory = Buffer.from(wasm.memory.buffer)
  const nodes = writeTree(memory, wasm, eventKeys)
  if (nodes === null) return null
  const spans = new Uint32Array(wasm.memory.buffer, spansAt)
  let owner: Projection | null = null

  function textOf (start: number, end: number): string {
    return isAscii(memory.subarray(start, end)) ? memory.toString('latin1', start, end) : decoder.decode(memory.subarray(start, end))
  }

  return (body, holds) => {
    const node = nodes[holds]
    /** The part of the body that is in the memory. */
    let windowStart = 0
    let windowEnd = 0

    function load (at: number): void {
      windowStart = at
      windowEnd = Math.min(body.length, at + inputBytes)
      memory.set(body.subarray(windowStart, windowEnd), inputAt)
    }

    const projection: Projection = {
      read (at) {
        const isLoaded = owner === projection && at >= windowStart && at < windowEnd
        if (!isLoaded) load(at)
        owner = projection
        let count = wasm.project(at - windowStart, windowEnd - windowStart, MAX_JSON_DEPTH, node)
        if (count === 0 && isLoaded && windowEnd < body.length) { // it may end behind the window
          load(at)
          count = wasm.project(0, windowEnd - windowStart, MAX_JSON_DEPTH, node)
        }
        if (count === 0) return []
        const objects = JSON.parse(textOf(outputAt, wasm.outputEnd())) as ParsedObject['object'][]
        return objects.map((object, i) => ({ start: windowStart + spans[i * 2]!, end: windowStart + spans[i * 2 + 1]!, object }))
      },
    }
    return projection
  }
}

const decoder = new TextDecoder()

/** Writes the tree, and a node of the envelope above it, which keeps all its keys. Gives the places of both roots; null where it couldn't. */
function writeTree (memory: Buffer, { treeAt, treeEnd }: ProjectionExports, eventKeys: KeyTree): { readonly envelopes: number, readonly events: number } | null {
  let top = treeAt.value

  /** A place of its own for so many bytes; null where there is no more room. */
  function take (bytes: number): number | null {
    const at = top
    top += (bytes + 3) & ~3
    return top <= treeEnd.value ? at : null
  }

  /** The place of the node; null where the tree can't be written. A place as what is wanted of a key is that of its node. */
  function writeNode (keys: ReadonlyMap<string, KeyTree | 'whole' | number>, kept: 'all' | 'named'): number | null {
    let slots = 4
    while (slots < keys.size * 2) slots *= 2 // one is empty, where looking ends
    const node = take(NODE_BYTES + slots * SLOT_BYTES)
    if (node === null) return null
    memory.writeUInt32LE(kept === 'all' ? 1 : 0, node)
    memory.writeUInt32LE(slots - 1, node + 4)
    for (const [key, wanted] of keys) {
      const keyAt = PLAIN_KEY.test(key) ? take(key.length + KEY_PAD_BYTES) : null
      if (keyAt === null) return null
      memory.write(key, keyAt, 'latin1')
      const says = wanted === 'whole' ? WHOLE : typeof wanted === 'number' ? wanted : writeNode(wanted, 'named')
      if (says === null) return null
      let slot = slotOf(key) & (slots - 1)
      while (memory.readUInt32LE(slotAt(node, slot) + 8) !== 0) slot = (slot + 1) & (slots - 1)
      memory.writeUInt32LE(keyAt, slotAt(node, slot))
      memory.writeUInt32LE(key.length, slotAt(node, slot) + 4)
      memory.writeUInt32LE(says, slotAt(node, slot) + 8)
    }
    return node
  }

  const events = writeNode(eventKeys, 'named')
  const envelopes = events === null ? null : writeNode(new Map([['event', events]]), 'all')
  return events === null || envelopes === null ? null : { envelopes, events }
}

const slotAt = (node: number, slot: number) => node + NODE_BYTES + slot * SLOT_BYTES

/** Where a key is looked for first, as `find` does. */
function slotOf (key: string): number {
  return key.length + key.charCodeAt(0) * 7 + key.charCodeAt(key.length - 1) * 31
}
