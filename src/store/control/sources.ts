import type Database from 'better-sqlite3'
import type { Lack, Source, SourceArrivals } from '../events.js'
import { HOUR_MS, MAX_SOURCES } from '../events.js'
import type { LagCounts } from '../lag.js'
import { addLags } from '../lag.js'

/** A source as it stands; of the row for those that are not told apart all names are null. */
export interface SourceRow extends Omit<Source, 'index' | 'sourcetype'> {
  readonly id: number
  readonly index: string | null
  readonly sourcetype: string | null
  readonly first_arrival_ms: number
  readonly last_arrival_ms: number
  /** The newest event time. */
  readonly last_time_us: number
  /** Since the first arrival. */
  readonly events: number
  /** The last arrival before the silence that has a finding; null without. */
  readonly silent_since_ms: number | null
  /** The first arrival after it; null once the finding says so. */
  readonly back_ms: number | null
}

/** A source that is told apart. */
export type NamedSource = SourceRow & Source

export interface SourceFilter extends Partial<{ readonly [name in keyof Source]: string | undefined }> {
  readonly isSilent: boolean
  /** Sources that sent nothing since are silent no more, but forgotten. */
  readonly forgottenMs: number
}

/** What came of a source in some hours. */
export interface SourceHours extends Pick<SourceArrivals, 'events' | 'lag' | 'maxLagUs' | 'fromTheFuture' | 'lostEvents' | 'throttled'> {}

interface HourRow { readonly events: number, readonly lag: string, readonly max_lag_us: number, readonly from_the_future: number, readonly lost_events: number, readonly throttled: number }

/** Events that a detection looks for, and that lack a field which it groups by. */
export interface LackOfSource extends Omit<Lack, 'source'> { readonly detection_id: string }

const OTHERS = 0

/** Senders of events and what came of them by the hour, in control.db. There are so few senders that reading all takes a millisecond. */
export function openSourceStore (db: Database.Database) {
  // uses source_index_sourcetype_cluster_name_node_name_idx
  const selectId = db.prepare<object, number>(`
    SELECT id FROM source WHERE "index" IS @index AND sourcetype IS @sourcetype AND cluster_name IS @cluster_name AND node_name IS @node_name
  `).pluck()
  // A later arrival can be earlier by a clock that was wrong before. By id: an update that could be of several rows opens a journal of its own, which takes fifteen times as long.
  const update = db.prepare(`
    UPDATE source SET last_arrival_ms = @last_arrival_ms, last_time_us = max(last_time_us, @last_time_us), events = events + @events,
      back_ms = iif(silent_since_ms IS NULL, NULL, coalesce(back_ms, @first_arrival_ms))
    WHERE id = @id
  `)
  const insert = db.prepare(`
    INSERT INTO source (id, "index", sourcetype, cluster_name, node_name, first_arrival_ms, last_arrival_ms, last_time_us, events)
    VALUES (@id, @index, @sourcetype, @cluster_name, @node_name, @first_arrival_ms, @last_arrival_ms, @last_time_us, @events)
  `)
  const selectTold = db.prepare<[], number>(`SELECT count(*) FROM source WHERE id <> ${OTHERS}`).pluck()
  const selectHour = db.prepare<[number, number], HourRow>('SELECT * FROM source_hour WHERE hour_ms = ? AND source_id = ?')
  const putHour = db.prepare(`
    REPLACE INTO source_hour (hour_ms, source_id, events, lag, max_lag_us, from_the_future, lost_events, throttled)
    VALUES (@hour_ms, @source_id, @events, @lag, @max_lag_us, @from_the_future, @lost_events, @throttled)
  `)
  // One look-up of the primary key for each hour; a range of it would be the hours of all sources.
  const selectHours = db.prepare<object, HourRow>(`
    WITH RECURSIVE hour (ms) AS (SELECT @fromMs WHERE @fromMs < @toMs UNION ALL SELECT ms + ${HOUR_MS} FROM hour WHERE ms + ${HOUR_MS} < @toMs)
    SELECT source_hour.* FROM hour CROSS JOIN source_hour ON hour_ms = ms AND source_id = @id
  `)
  const addLack = db.prepare(`
    INSERT INTO source_lack (hour_ms, source_id, detection_id, field, events) VALUES (@hour_ms, @id, @detectionId, @field, @events)
    ON CONFLICT (hour_ms, source_id, detection_id, field) DO UPDATE SET events = events + excluded.events
  `)
  const selectLacks = db.prepare<object, LackOfSource>(`
    WITH RECURSIVE hour (ms) AS (SELECT @fromMs WHERE @fromMs < @toMs UNION ALL SELECT ms + ${HOUR_MS} FROM hour WHERE ms + ${HOUR_MS} < @toMs)
    SELECT detection_id, field, sum(events) AS events FROM hour CROSS JOIN source_lack ON hour_ms = ms AND source_id = @id GROUP BY detection_id, field ORDER BY detection_id, field
  `)
  const isSilent = '(silent_since_ms IS NOT NULL AND back_ms IS NULL AND last_arrival_ms >= @forgottenMs)'
  const where = `
    (@index IS NULL OR "index" = @index) AND (@sourcetype IS NULL OR sourcetype = @sourcetype)
    AND (@cluster_name IS NULL OR cluster_name = @cluster_name) AND (@node_name IS NULL OR node_name = @node_name)
    AND (@isSilent = 0 OR ${isSilent})
  `
  const selectPage = db.prepare<object, SourceRow>(`SELECT * FROM source WHERE id > @after AND ${where} ORDER BY id LIMIT @limit`)
  const selectCount = db.prepare<object, number>(`SELECT count(*) FROM source WHERE ${where}`).pluck()
  const selectNewlySilent = db.prepare<object, NamedSource>(`
    SELECT * FROM source WHERE last_arrival_ms < @beforeMs AND last_arrival_ms >= @forgottenMs AND silent_since_ms IS NULL AND id <> ${OTHERS} LIMIT @limit
  `)
  const markSilent = db.prepare<[number]>('UPDATE source SET silent_since_ms = last_arrival_ms WHERE id = ?')
  const selectBack = db.prepare<[number], NamedSource & { readonly silent_since_ms: number, readonly back_ms: number }>('SELECT * FROM source WHERE back_ms IS NOT NULL LIMIT ?')
  const clearSilent = db.prepare<[number]>('UPDATE source SET silent_since_ms = NULL, back_ms = NULL WHERE id = ?')
  const deleteHour = db.prepare<[number]>('DELETE FROM source_hour WHERE hour_ms = (SELECT min(hour_ms) FROM source_hour) AND hour_ms < ?')
  const deleteLacks = db.prepare<[number]>('DELETE FROM source_lack WHERE hour_ms = (SELECT min(hour_ms) FROM source_lack) AND hour_ms < ?')
  const deleteSources = db.prepare(`
    DELETE FROM source WHERE last_arrival_ms < @sourcesMs OR (last_arrival_ms < @forgottenMs AND (SELECT count(*) FROM source) >= ${MAX_SOURCES})
  `)

  function insertSource (source: Source, arrivals: SourceArrivals): number {
    return Number(insert.run({ id: null, ...source, ...toSeen(arrivals) }).lastInsertRowid)
  }

  function updateSource (id: number, arrivals: SourceArrivals): number {
    const seen = toSeen(arrivals)
    if (update.run({ id, ...seen }).changes === 0) insert.run({ id, ...NO_NAMES, ...seen }) // the others, for the first time
    return id
  }

  function addHour (id: number, { hourMs, ...more }: SourceArrivals): void {
    const before = selectHour.get(hourMs, id)
    const { events, lag, maxLagUs, fromTheFuture, lostEvents, throttled } = before === undefined ? more : sumOf([toHours(before), more])
    putHour.run({
      hour_ms: hourMs, source_id: id, events, lag: JSON.stringify(lag), max_lag_us: maxLagUs, from_the_future: fromTheFuture, lost_events: lostEvents, throttled,
    })
  }

  return {
    /** Adds what came, all or none. */
    add: db.transaction((all: readonly SourceArrivals[]): void => {
      let told = selectTold.get()!
      for (const arrivals of all) {
        const { source } = arrivals
        const known = selectId.get(source ?? NO_NAMES)
        const isNew = known === undefined && source !== null && told < MAX_SOURCES
        if (isNew) told++
        addHour(isNew ? insertSource(source, arrivals) : updateSource(known ?? OTHERS, arrivals), arrivals)
      }
    }),
    /** In the order of their first arrival, after the source of the id `after`. */
    list: (filter: SourceFilter, limit: number, after: number): SourceRow[] => selectPage.all({ ...toParams(filter), limit, after }),
    count: (filter: SourceFilter): number => selectCount.get(toParams(filter))!,
    /** What came of a source in the hours that begin from `fromMs` on and before `toMs`, both of which are whole hours. */
    hours: (id: number, fromMs: number, toMs: number): SourceHours => sumOf(selectHours.all({ id, fromMs, toMs }).map(toHours)),
    /** Adds what was found in an hour that events of sources lack, all or none. */
    addLacks: db.transaction((lacks: readonly (Lack & { readonly detectionId: string })[], hourMs: number): void => {
      for (const { source, detectionId, field, events } of lacks) addLack.run({ hour_ms: hourMs, id: selectId.get(source ?? NO_NAMES) ?? OTHERS, detectionId, field, events })
    }),
    /** The same of one source and those hours, by detection and field. */
    lacks: (id: number, fromMs: number, toMs: number): LackOfSource[] => selectLacks.all({ id, fromMs, toMs }),
    /** Some of the sources whose last arrival was before `beforeMs`, and whose silence has no finding. */
    newlySilent: (beforeMs: number, forgottenMs: number, limit: number): NamedSource[] => selectNewlySilent.all({ beforeMs, forgottenMs, limit }),
    /** From now on their silence has a finding. */
    markSilent: db.transaction((ids: readonly number[]): void => { for (const id of ids) markSilent.run(id) }),
    /** Some of the sources that were silent and send again, whose finding does not say so. */
    back: (limit: number) => selectBack.all(limit),
    /** The findings of their silence say now when it ended. */
    clearSilent: db.transaction((ids: readonly number[]): void => { for (const id of ids) clearSilent.run(id) }),
    /** Removes the oldest hour that ended before `hoursMs`, and sources that sent nothing since `sourcesMs`. Where there is no room for new sources, those go that are forgotten. */
    removeOld: db.transaction(({ hoursMs, ...sources }: { readonly hoursMs: number, readonly sourcesMs: number, readonly forgottenMs: number }): void => {
      deleteHour.run(hoursMs - HOUR_MS)
      deleteLacks.run(hoursMs - HOUR_MS)
      deleteSources.run(sources)
    }),
  }
}
export type SourceStore = ReturnType<typeof openSourceStore>

const NO_NAMES = { index: null, sourcetype: null, cluster_name: null, node_name: null }

function toParams ({ index, sourcetype, cluster_name: cluster, node_name: node, isSilent, forgottenMs }: SourceFilter) {
  return { index: index ?? null, sourcetype: sourcetype ?? null, cluster_name: cluster ?? null, node_name: node ?? null, isSilent: isSilent ? 1 : 0, forgottenMs }
}

function toSeen ({ events, firstArrivalUs, lastArrivalUs, lastTimeUs }: SourceArrivals) {
  return { first_arrival_ms: Math.floor(firstArrivalUs / 1_000), last_arrival_ms: Math.floor(lastArrivalUs / 1_000), last_time_us: lastTimeUs, events }
}

function toHours (row: HourRow): SourceHours {
  return {
    events: row.events, lag: JSON.parse(row.lag) as LagCounts, maxLagUs: row.max_lag_us, fromTheFuture: row.from_the_future,
    lostEvents: row.lost_events, throttled: row.throttled,
  }
}

function sumOf (all: readonly SourceHours[]): SourceHours {
  const sum = (key: 'events' | 'fromTheFuture' | 'lostEvents' | 'throttled') => Math.min(all.reduce((total, one) => total + one[key], 0), Number.MAX_SAFE_INTEGER)
  return {
    events: sum('events'), fromTheFuture: sum('fromTheFuture'), lostEvents: sum('lostEvents'), throttled: sum('throttled'),
    lag: addLags(all.map(({ lag }) => lag)), maxLagUs: Math.max(0, ...all.map(({ maxLagUs }) => maxLagUs)),
  }
}
