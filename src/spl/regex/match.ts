/** Offsets of a match and of its groups, start and end by turns; -1 for a group that took no part. */
export type Spans = readonly number[]

/** A compiled pattern. It is asked for well-formed text, and counts in UTF-16 units. */
export interface Matcher {
  test (text: string): boolean
  /** The first match that starts at `from` or later, with what is before it in sight. */
  find (text: string, from: number): Spans | null
}

/** A text on which a pattern took more steps than it may. */
export class TooCostly extends Error {
  override name = 'TooCostly'
}
