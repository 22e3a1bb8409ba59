import type { Window } from '../event.js'

/** Stretches in the order of their beginnings as a set of event time: no two of what is given overlap or meet. */
export function union (stretches: Iterable<Window>): Window[] {
  const all: Window[] = []
  for (const { earliestUs, latestUs } of stretches) {
    const last = all.at(-1)
    if (last === undefined || earliestUs > last.latestUs) all.push({ earliestUs, latestUs })
    else if (latestUs > last.latestUs) all[all.length - 1] = { ...last, latestUs }
  }
  return all
}

/** What of stretches lies in a set of event time, in order. Linear: neither side overlaps itself, and both are in order. */
export function intersect<T extends Window> (stretches: readonly T[], set: readonly Window[]): T[] {
  const parts: T[] = []
  let i = 0
  for (const stretch of stretches) {
    while (i < set.length && set[i]!.latestUs <= stretch.earliestUs) i++
    for (let j = i; j < set.length && set[j]!.earliestUs < stretch.latestUs; j++) {
      parts.push({ ...stretch, earliestUs: Math.max(stretch.earliestUs, set[j]!.earliestUs), latestUs: Math.min(stretch.latestUs, set[j]!.latestUs) })
    }
  }
  return parts
}

/** What of stretches does not lie in a set of event time; as `intersect`. */
export function subtract<T extends Window> (stretches: readonly T[], set: readonly Window[]): T[] {
  const parts: T[] = []
  let i = 0
  for (const stretch of stretches) {
    let fromUs = stretch.earliestUs
    while (i < set.length && set[i]!.latestUs <= fromUs) i++
    for (let j = i; j < set.length && set[j]!.earliestUs < stretch.latestUs; j++) {
      if (set[j]!.earliestUs > fromUs) parts.push({ ...stretch, earliestUs: fromUs, latestUs: set[j]!.earliestUs })
      fromUs = Math.max(fromUs, set[j]!.latestUs)
    }
    if (fromUs < stretch.latestUs) parts.push({ ...stretch, earliestUs: fromUs })
  }
  return parts
}
