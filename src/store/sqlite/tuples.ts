import { randomInt } from 'node:crypto'

const FIRST_ROOM = 256

/**
 * Numbers different tuples of `width` whole numbers below 2³², from 0 on in the order in which they come: a hash table in typed arrays, a tenth of what a Map of texts takes and nothing for the
 * collector of garbage. What is hashed comes from events: the seed keeps who sends them from choosing what collides.
 */
export function openTuples (width: number, seed: number = randomInt(2 ** 32)) {
  let values = new Uint32Array(FIRST_ROOM * width)
  /** The number of a tuple plus 1, where its hash says or behind that; 0 is empty. At most half of it is full. */
  let slots = new Uint32Array(FIRST_ROOM * 2)
  let count = 0

  function hash (tuple: Uint32Array, at: number): number {
    let hash = seed
    for (let i = 0; i < width; i++) {
      hash = Math.imul(hash ^ tuple[at + i]!, 0x9E37_79B1)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash, 0x85EB_CA6B)
    return hash ^ hash >>> 16
  }

  function isEqual (number: number, tuple: Uint32Array): boolean {
    for (let i = 0; i < width; i++) if (values[number * width + i] !== tuple[i]) return false
    return true
  }

  function grow (): void {
    const longer = new Uint32Array(values.length * 2)
    longer.set(values)
    values = longer
    slots = new Uint32Array(slots.length * 2)
    const mask = slots.length - 1
    for (let number = 0; number < count; number++) {
      let slot = hash(values, number * width) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = number + 1
    }
  }

  function numberOf (tuple: Uint32Array): number {
    const mask = slots.length - 1
    let slot = hash(tuple, 0) & mask
    for (let known = slots[slot]!; known !== 0; known = slots[slot]!) {
      if (isEqual(known - 1, tuple)) return known - 1
      slot = (slot + 1) & mask
    }
    if (count * 2 === slots.length) {
      grow()
      return numberOf(tuple)
    }
    slots[slot] = count + 1
    for (let i = 0; i < width; i++) values[count * width + i] = tuple[i]!
    return count++
  }

  return {
    get count () { return count },
    /** The number of a tuple, of the next one where it is new. */
    numberOf,
    /** One value of a tuple. */
    valueAt: (number: number, place: number): number => values[number * width + place]!,
  }
}
