import type { Fault } from '../envelope/envelope.js'
import type { Event, Metadata, Window } from '../event.js'
import type { Predicate } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import type { Row } from '../spl/row.js'
import type { LagCounts } from './lag.js'

/**
 * How far a store's events were visible to whoever asked. Only the store looks inside and compares; others keep it as text
 * and hand it back.
 */
export type Position = string & { readonly __position: unique symbol }

/** One HEC request, unread: the writer finds the envelopes in it. */
export interface AppendRequest {
  /** The body, gunzipped, in memory of its own: it is moved to the writer and gone here. */
  readonly body: ArrayBuffer
  /** envelopes: the body of `/event`; lines: that of `/raw`. */
  readonly format: 'envelopes' | 'lines'
  readonly arrivalUs: number
  readonly defaults: Metadata
  /** Time of events whose envelope has none, where the request gives one for all of them. */
  readonly timeUs: number | null
  /** Where the time of an event comes from if neither envelope nor request has one: event, and where that says none arrival. */
  readonly timeFrom: 'arrival' | 'event'
  /** Fields that are set where an event has none of that name. */
  readonly fill: Readonly<Record<string, string>>
  /** Who sends: the same body from the same sender is a re-send, where those are looked for. */
  readonly sender: string
  /** Null: every index that exists. */
  readonly allowedIndexes: readonly string[] | null
}

/** What became of a request. Events before the fault are on disk. */
export interface AppendOutcome {
  readonly stored: number
  readonly fault: Fault | null
  readonly unknownKeys: number
  readonly skipped: number
  /** Events whose time was read from themselves. */
  readonly ownTimes: number
  /** Events that got a field which they had not. */
  readonly filled: number
  /** The same request was stored before, and this is what became of it; nothing was stored now. */
  readonly resent: boolean
}

export interface SearchOptions {
  readonly window: Window
  /** Only events after it, also in brackets. */
  readonly since?: Position | undefined
  readonly position: Position
  /** Zone for what shows times as text (`convert ctime`). */
  readonly timeZone: string
  /** What now() gives: when the search starts, of a scheduled one its slot. Epoch milliseconds. */
  readonly nowMs: number
  /** Rows beyond it are not returned. */
  readonly limit: number
  /** Stops the search; the promise rejects with AppError `unavailable`. */
  readonly signal?: AbortSignal
  /** How long it may run; five minutes where it is missing. */
  readonly timeoutMs?: number
  /** Called now and then while it runs, with how many events were looked at so far. */
  readonly onProgress?: (scannedEvents: number) => void
}

export interface SearchResult {
  readonly rows: readonly Row[]
  /** Whether rows were left out because of the limit. */
  readonly truncated: boolean
  /** Events of the window that were looked at, narrow row or raw. */
  readonly scannedEvents: number
  /** What the rows don't show, such as texts that were too costly for a regular expression. One line each. */
  readonly warnings: readonly string[]
}

export type EventOrder = '-time' | 'time' | 'id' | '-id'

/** Events in `order`; those after the event `after` in it, where given. Equal times are ordered by id in the same direction. */
export interface FindOptions {
  readonly predicate: Predicate
  readonly window: Window
  /** Only events after it. */
  readonly since?: Position | undefined
  readonly position: Position
  readonly order: EventOrder
  readonly limit: number
  readonly after?: { readonly timeUs: number, readonly id: number } | undefined
  readonly signal?: AbortSignal
}

export interface FoundEvent { readonly event: Event, readonly timeUs: number }

/** Groups of events that are looked for together, so that each event is read once. One event may be in several. */
export interface FindGroupsOptions extends Omit<FindOptions, 'window' | 'after'> {
  /** What the events of all groups meet. `limit` is of each group. */
  readonly predicate: Predicate
  readonly groups: readonly EventGroup[]
  /** What the events of a group may take, compressed: of more the first half is kept, or the half of that. */
  readonly maxBytes: number
}

/** What tells the events of a group from others. */
export interface EventGroup {
  readonly predicate: Predicate
  readonly window: Window
  /** Only this event, where given. */
  readonly id?: number
}

export interface FoundGroup {
  /** Gzip of a JSON array of them: they are to be kept, and what gets them takes events meanwhile. */
  readonly events: Uint8Array
  /** How many are in it. */
  readonly kept: number
  /** How many there are. */
  readonly count: number
}

/** What is asked of the events after a position: where in time those that meet a condition lie, and what they lack. */
export interface ArrivalQuery {
  /** Without searches in brackets, as `relevantPredicate` gives it. */
  readonly predicate: Predicate
  /** Ascending; each two that follow one another are the borders of a stretch of time [a, b), epoch microseconds. */
  readonly bordersUs: readonly number[]
  /** Events without a value of one are counted. That takes a look at all events, whatever their time. */
  readonly fields: readonly string[]
}

/** The events that came in one stretch of time. */
export interface Arrivals {
  /** The place of its first border. */
  readonly stretch: number
  readonly events: number
  /** That of the last of them. */
  readonly last: Position
}

export interface ArrivalResult {
  /** In the order of time, those stretches alone that hold events. */
  readonly arrivals: readonly Arrivals[]
  /** Events that meet the condition, of any time, and have no value of one of the query's fields; by field in the order of the query, then by source. */
  readonly lacking: readonly Lack[]
}

/** Events of a source without a value of a field. */
export interface Lack {
  readonly field: string
  /** Null: of all sources that are not told apart. */
  readonly source: Source | null
  readonly events: number
}

/** Events after `after` up to `position`. */
export interface SinceOptions {
  readonly after: Position
  readonly position: Position
  readonly queries: readonly ArrivalQuery[]
  readonly signal?: AbortSignal
}

export interface EventStoreStats {
  readonly partitions: number
  readonly packedPartitions: number
  /** They don't count in the others. */
  readonly damagedPartitions: number
  readonly events: number
  readonly bytesOnDisk: number
}

/** Times are those of its events, null where there is none. Of a damaged partition all that is not known is null. */
export interface PartitionStatus {
  readonly name: string
  /** Open: the last one that was written. Damaged: set aside, read and written by nobody. */
  readonly state: 'open' | 'ok' | 'damaged'
  readonly schema: number | null
  /** Whether its day is over and it is as small as it becomes. */
  readonly packed: boolean | null
  readonly events: number | null
  readonly bytes: number
  readonly minTimeUs: number | null
  readonly maxTimeUs: number | null
}

/** A partition that retention took away. Times are those of its events, null where there was none. */
export interface DroppedPartition {
  readonly name: string
  /** Age: its last event arrived too long ago. Size: there was more than may be kept. */
  readonly reason: 'age' | 'size'
  readonly events: number
  readonly bytes: number
  readonly minTimeUs: number | null
  readonly maxTimeUs: number | null
  /** When the day of their arrival ended; epoch microseconds. */
  readonly arrivedBeforeUs: number
}

export interface PackOptions {
  readonly nowMs: number
  /** So much of the disk may be taken, until the partition as it was is removed. */
  readonly spareBytes: number
  readonly signal?: AbortSignal
}

/** A partition that has become smaller. */
export interface PackedPartition {
  readonly name: string
  readonly events: number
  readonly bytesBefore: number
  readonly bytes: number
}

/** Who sends: events of one index, sourcetype, cluster and node. Null is an event without that field. */
export interface Source {
  readonly index: string
  readonly sourcetype: string
  readonly cluster_name: string | null
  readonly node_name: string | null
}

/** So many sources are told apart. Anybody with a token can make up more; they are counted together. */
export const MAX_SOURCES = 10_000

/** A source with a longer name is not told apart. Names of Kubernetes have at most 253 characters. */
export const MAX_SOURCE_CHARS = 512

export const HOUR_MS = 3_600_000

/** What came of one source in one hour, and is stored. */
export interface SourceArrivals {
  /** Null: of all sources that are not told apart. */
  readonly source: Source | null
  /** When the hour of arrival began. */
  readonly hourMs: number
  readonly events: number
  readonly firstArrivalUs: number
  readonly lastArrivalUs: number
  /** The newest event time. */
  readonly lastTimeUs: number
  /** From the time of an event to its arrival. */
  readonly lag: LagCounts
  readonly maxLagUs: number
  /** Events whose time was after their arrival. */
  readonly fromTheFuture: number
  /** Events that Tetragon says it dropped. */
  readonly lostEvents: number
  /** How often Tetragon says that it began to throttle. */
  readonly throttled: number
}

/** The only way to events. Positions are opaque outside. */
export interface EventStore {
  /**
   * Resolves when the request's events are on disk (`durability: full`), in the order of the calls. Throws AppError
   * `unavailable` or `too_large` where nothing of the request was kept.
   */
  append (request: AppendRequest): Promise<AppendOutcome>
  /** Everything up to it is committed and visible. */
  position (): Position
  /** Whether more was visible at `a` than at `b`. */
  isAfter (a: Position, b: Position): boolean
  /** A search that meets damage throws AppError `unavailable`; later ones go without the damaged part and have a warning. */
  search (plan: SearchPlan, options: SearchOptions): Promise<SearchResult>
  find (options: FindOptions): Promise<readonly FoundEvent[]>
  /** The events of each group, in the order of the groups. */
  findGroups (options: FindGroupsOptions): Promise<readonly FoundGroup[]>
  /**
   * What came between two positions, a result for each query. It costs what there is of new events, not what there is of old ones; where they lie outside
   * of all stretches and no fields are asked for they are not read. Damage is met as by a search.
   */
  since (options: SinceOptions): Promise<readonly ArrivalResult[]>
  stats (): EventStoreStats
  /** Whether events of the window may be in a damaged partition, so that a search goes without them. */
  isDamaged (window: Window): boolean
  /** Oldest first. */
  partitions (): readonly PartitionStatus[]
  /**
   * Drops what is too old or too much by now; `beforeDrop` is told before it is gone. The space on the disk is free soon after. A search that needs some of it may throw AppError `unavailable`.
   */
  retain (nowMs: number, disk: 'full' | 'roomy', beforeDrop?: (partitions: readonly DroppedPartition[]) => void): Promise<readonly DroppedPartition[]>
  /**
   * Makes a partition whose day is over as small as it becomes, the newest that is not: the same events, in three quarters of the space. It takes its time and goes behind
   * all else. Null where there is none for which there is room, where it was stopped, and where it is under way.
   */
  pack (options: PackOptions): Promise<PackedPartition | null>
  /** What was stored since the last call, by source and hour of arrival. It is told once. */
  sourceCounts (): Promise<readonly SourceArrivals[]>
  /** Why no more events can be taken until a restart; null while all is well. */
  failure (): Error | null
  /** Ends searches, commits what was accepted, closes the files. */
  close (): Promise<void>
}
