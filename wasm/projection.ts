/**
 * AssemblyScript, not TypeScript: `npm run wasm` compiles it into src/envelope/projection-wasm.ts.
 *
 * Reads the JSON objects of a body, sixteen bytes at a time inside strings, proves that each is JSON as JSON.parse proves it, and writes an array of what a
 * tree of keys wants of them. What it is not sure of it refuses, and somebody else reads that object: it has to be right, not complete.
 */

/** Where things are in memory. Above INPUT lie the bytes, a pad of zeros behind them, and the room for what is written. */
const SPANS: usize = 1 << 10 // a u32 start and end for each object
const TREE: usize = 1 << 14
const INPUT: usize = 1 << 16
const MAX_INPUT: usize = 1 << 18
const OUTPUT: usize = INPUT + MAX_INPUT + 64

const MAX_OBJECTS: i32 = 1024

/** Having written more it stops: text of more than 64 KB is slow to decode. */
const MAX_OUTPUT: usize = 48 << 10

/** What a slot of the tree says of a key: nothing, that its value is wanted whole, or where the node of its object is. */
const EMPTY: u32 = 0
const WHOLE: u32 = 1

const QUOTE: u32 = 0x22
const COMMA: u32 = 0x2c
const MINUS: u32 = 0x2d
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30
const COLON: u32 = 0x3a
const OPEN_BRACKET: u32 = 0x5b
const BACKSLASH: u32 = 0x5c
const CLOSE_BRACKET: u32 = 0x5d
const OPEN_BRACE: u32 = 0x7b
const CLOSE_BRACE: u32 = 0x7d

/** No place: what is there is no JSON, or not sure to be, or not whole. */
const NOWHERE: usize = 0

let out: usize = OUTPUT
let maxDepth: i32 = 0

export const spansAt: usize = SPANS
export const treeAt: usize = TREE
export const treeEnd: usize = INPUT
export const inputAt: usize = INPUT
export const inputBytes: usize = MAX_INPUT
export const outputAt: usize = OUTPUT

/** The end of what was written. */
export function outputEnd (): usize { return out }

/**
 * Reads objects from `start` of the input on, with white space between them or none, up to something that is no object, or not sure to be one, or up to one of the
 * bounds. Gives how many it read; where they are stands in SPANS. `length` bytes of the input are the body's; zeros behind them end whatever is not whole. `node`
 * says what is wanted of an object. It is deeper than `depth` where a value lies in more objects and arrays, itself among them.
 */
export function project (start: usize, length: usize, depth: i32, node: usize): i32 {
  memory.fill(INPUT + length, 0, 64)
  maxDepth = depth
  out = OUTPUT
  store<u8>(out++, OPEN_BRACKET)
  let count: i32 = 0
  let at = INPUT + start
  while (count < MAX_OBJECTS && out - OUTPUT < MAX_OUTPUT) {
    at = skipSpace(at)
    if (load<u8>(at) !== OPEN_BRACE) break
    const mark = out
    if (count > 0) store<u8>(out++, COMMA)
    const end = projectObject(at, node, 1)
    if (end === NOWHERE) {
      out = mark
      break
    }
    const span = SPANS + (<usize>count << 3)
    store<u32>(span, <u32>(at - INPUT))
    store<u32>(span, <u32>(end - INPUT), 4)
    count++
    at = end
  }
  store<u8>(out++, CLOSE_BRACKET)
  return count
}

/** The place behind the object at `at`, `depth` levels deep, of which what the node wants is written. */
function projectObject (at: usize, node: usize, depth: i32): usize {
  if (depth > maxDepth) return NOWHERE
  const keepsOthers = load<u32>(node)
  let isFirst = true
  store<u8>(out++, OPEN_BRACE)
  at = skipSpace(at + 1)
  if (load<u8>(at) === CLOSE_BRACE) {
    store<u8>(out++, CLOSE_BRACE)
    return at + 1
  }
  while (true) {
    if (load<u8>(at) !== QUOTE) return NOWHERE
    const keyStart = at
    at = skipPlain(at + 1)
    if (load<u8>(at) !== QUOTE) return NOWHERE // an escape: two spellings of one key
    const child = find(node, keyStart + 1, at)
    at = skipSpace(at + 1)
    if (load<u8>(at) !== COLON) return NOWHERE
    at = skipSpace(at + 1)
    if (child > WHOLE && load<u8>(at) === OPEN_BRACE) {
      if (!isFirst) store<u8>(out++, COMMA)
      isFirst = false
      emit(keyStart, at)
      at = projectObject(at, child, depth + 1)
      if (at === NOWHERE) return NOWHERE
    } else {
      at = skipValue(at, depth)
      if (at === NOWHERE) return NOWHERE
      if (child !== EMPTY || keepsOthers !== 0) {
        if (!isFirst) store<u8>(out++, COMMA)
        isFirst = false
        emit(keyStart, at)
      }
    }
    at = skipSpace(at)
    const byte = <u32>load<u8>(at)
    if (byte === CLOSE_BRACE) {
      store<u8>(out++, CLOSE_BRACE)
      return at + 1
    }
    if (byte !== COMMA) return NOWHERE
    at = skipSpace(at + 1)
  }
}

/** The place behind the value at `at`, which lies in something of `depth` levels. */
function skipValue (at: usize, depth: i32): usize {
  const byte = <u32>load<u8>(at)
  if (byte === QUOTE) return skipString(at + 1)
  if (byte === OPEN_BRACE) return skipObject(at, depth + 1)
  if (byte === OPEN_BRACKET) return skipArray(at, depth + 1)
  if (byte - ZERO <= 9 || byte === MINUS) return skipNumber(at)
  const word = load<u32>(at)
  if (word === 0x65757274 || word === 0x6c6c756e) return at + 4 // true, null
  return word === 0x736c6166 && load<u8>(at + 4) === 0x65 ? at + 5 : NOWHERE // false
}

function skipObject (at: usize, depth: i32): usize {
  if (depth > maxDepth) return NOWHERE
  at = skipSpace(at + 1)
  if (load<u8>(at) === CLOSE_BRACE) return at + 1
  while (true) {
    if (load<u8>(at) !== QUOTE) return NOWHERE
    at = skipString(at + 1)
    if (at === NOWHERE) return NOWHERE
    at = skipSpace(at)
    if (load<u8>(at) !== COLON) return NOWHERE
    at = skipSpace(at + 1)
    at = load<u8>(at) === QUOTE ? skipString(at + 1) : skipValue(at, depth)
    if (at === NOWHERE) return NOWHERE
    at = skipSpace(at)
    const byte = <u32>load<u8>(at)
    if (byte === CLOSE_BRACE) return at + 1
    if (byte !== COMMA) return NOWHERE
    at = skipSpace(at + 1)
  }
}

function skipArray (at: usize, depth: i32): usize {
  if (depth > maxDepth) return NOWHERE
  at = skipSpace(at + 1)
  if (load<u8>(at) === CLOSE_BRACKET) return at + 1
  while (true) {
    at = skipValue(at, depth)
    if (at === NOWHERE) return NOWHERE
    at = skipSpace(at)
    const byte = <u32>load<u8>(at)
    if (byte === CLOSE_BRACKET) return at + 1
    if (byte !== COMMA) return NOWHERE
    at = skipSpace(at + 1)
  }
}

/** RFC 8259, section 6. */
function skipNumber (at: usize): usize {
  if (load<u8>(at) === MINUS) at++
  if (load<u8>(at) === ZERO) at++
  else {
    at = skipDigits(at)
    if (at === NOWHERE) return NOWHERE
  }
  if (load<u8>(at) === POINT) {
    at = skipDigits(at + 1)
    if (at === NOWHERE) return NOWHERE
  }
  if ((load<u8>(at) | 0x20) === 0x65) { // e, E
    at++
    const sign = <u32>load<u8>(at)
    if (sign === 0x2b || sign === MINUS) at++
    return skipDigits(at)
  }
  return at
}

/** One digit or more. */
function skipDigits (at: usize): usize {
  const start = at
  while (<u32>load<u8>(at) - ZERO <= 9) at++
  return at === start ? NOWHERE : at
}

/** The place behind the quote that ends the string whose first character is at `at`. */
function skipString (at: usize): usize {
  while (true) {
    at = skipPlain(at)
    const byte = <u32>load<u8>(at)
    if (byte === QUOTE) return at + 1
    if (byte !== BACKSLASH) return NOWHERE
    const escaped = <u32>load<u8>(at + 1)
    if (escaped === 0x75) { // u
      if (!isHex(load<u8>(at + 2)) || !isHex(load<u8>(at + 3)) || !isHex(load<u8>(at + 4)) || !isHex(load<u8>(at + 5))) return NOWHERE
      at += 6
    } else {
      // " \ / b f n r t
      if (escaped !== QUOTE && escaped !== BACKSLASH && escaped !== 0x2f && escaped !== 0x62 && escaped !== 0x66 && escaped !== 0x6e && escaped !== 0x72 && escaped !== 0x74) return NOWHERE
      at += 2
    }
  }
}

function isHex (byte: u32): bool {
  return byte - ZERO <= 9 || (byte | 0x20) - 0x61 <= 5
}

/** The first quote, backslash or control character from `at` on. There is one: zeros end the input. */
function skipPlain (at: usize): usize {
  while (true) {
    const bytes = v128.load(at)
    const special = v128.or(v128.or(i8x16.eq(bytes, i8x16.splat(<i8>QUOTE)), i8x16.eq(bytes, i8x16.splat(<i8>BACKSLASH))), i8x16.lt_u(bytes, i8x16.splat(0x20)))
    const mask = i8x16.bitmask(special)
    if (mask !== 0) return at + <usize>ctz(mask)
    at += 16
  }
}

function skipSpace (at: usize): usize {
  let byte = <u32>load<u8>(at)
  while (byte <= 0x20) {
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    byte = <u32>load<u8>(++at)
  }
  return at
}

/** What the node says of a key. A node is two u32, whether it keeps all keys and how many slots it has less one, then the slots: where the key is, its length, what it says. */
function find (node: usize, start: usize, end: usize): u32 {
  const length = <u32>(end - start)
  const mask = load<u32>(node, 4)
  if (length === 0) return EMPTY
  let slot = (length + <u32>load<u8>(start) * 7 + <u32>load<u8>(end - 1) * 31) & mask
  while (true) {
    const entry = node + 8 + <usize>slot * 12
    const says = load<u32>(entry, 8)
    if (says === EMPTY) return EMPTY
    if (load<u32>(entry, 4) === length && isSame(load<u32>(entry), start, length)) return says
    slot = (slot + 1) & mask
  }
}

function isSame (a: usize, b: usize, length: u32): bool {
  while (length >= 16) {
    if (i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b))) !== 0xffff) return false
    a += 16
    b += 16
    length -= 16
  }
  const wanted = (1 << length) - 1
  return (i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b))) & wanted) === wanted
}

/** Writes bytes of the input, and up to fifteen more, which are written over. */
function emit (start: usize, end: usize): void {
  let to = out
  for (let from = start; from < end; from += 16) {
    v128.store(to, v128.load(from))
    to += 16
  }
  out += end - start
}
