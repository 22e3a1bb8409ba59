import type { Scalar, Value } from '../event.js'

export type { Scalar, Value }

/**
 * One result. A field that is null is not in the map; the map's order is the order of the columns.
 * `origin` tells where the row comes from, whatever later stages do to its columns: the event id for a row that is
 * still an event, the BY values of the last stats otherwise (none without BY); behind them, the values that mvexpand took.
 */
export interface Row {
  readonly values: Map<string, Value>
  readonly origin: readonly Value[]
}
