import { setImmediate } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { Window } from '../../event.js'
import { toMicroseconds } from '../../event.js'
import { severityOf } from '../../finding.js'
import type { Finding } from '../../finding.js'

/** Of each member that is there a finding has one of the values. */
export interface FindingFilter {
  readonly window: Window
  readonly status?: readonly string[] | undefined
  /** `none` is no disposition. */
  readonly disposition?: readonly string[] | undefined
  /** `none` is no owner. */
  readonly owner?: readonly string[] | undefined
  readonly severity?: readonly string[] | undefined
  readonly detection?: readonly string[] | undefined
  readonly technique?: string | undefined
  readonly risk_object?: string | undefined
  readonly min_score?: number | undefined
  /** Throttled findings too, or them alone; none of them where it is undefined. */
  readonly throttled?: 'include' | 'only' | undefined
  /** Suppressed findings likewise. */
  readonly suppressed?: 'include' | 'only' | undefined
  /** Findings that this suppression hides, and no others. */
  readonly suppressed_by?: string | undefined
}

/** By the time of the event: oldest, or newest first. */
export type FindingOrder = 'time' | '-time'

export interface FindingPlace { readonly timeUs: number, readonly id: string }

/** Whether a finding is left out of lists, and why. */
export type Visibility = 'shown' | 'throttled' | 'suppressed'

/** What a list goes by: an index whose first column has one of some values, and has the findings of each in the order of their time. */
interface Drive { readonly name: string, readonly values: readonly unknown[], readonly from: (visibility: Visibility) => Source }

/** Where the findings of one value are; `@drive` stands for the value. A join has no columns of the finding but its time and id. */
interface Source { readonly table: string, readonly where: string, readonly id: string, readonly isJoin: boolean }

/** The conditions of the indexes, word for word. */
const IS_SO: Readonly<Record<Visibility, string>> = {
  shown: 'throttled_by IS NULL AND suppressed_by IS NULL',
  throttled: 'throttled_by IS NOT NULL',
  suppressed: 'suppressed_by IS NOT NULL',
}

/** So many entries of an index are read before others get their turn: up to 10 ms of the thread that takes events. */
const AT_A_TIME = 5_000

/** Entries that are counted at a time: SQLite does that by itself, ten times as fast. */
const COUNT_AT_A_TIME = 20_000

/** Statements that are kept: there are as many as combinations of filters and numbers of their values, of which few are in use. */
const MAX_PREPARED = 200

/** From so many findings on it makes no difference which filter has fewer. */
const MANY = 1_000

const ALL_SEVERITIES = [0, 30, 50, 70, 90].map(severityOf)

const SEVERITY = "CASE WHEN score <= 20 THEN 'informational' WHEN score <= 40 THEN 'low' WHEN score <= 60 THEN 'medium' WHEN score <= 80 THEN 'high' ELSE 'critical' END"

/** Lists of findings in control.db. Each goes by an index in pieces, so that one that has to pass over many findings is slow for itself alone. */
export function openFindingLists (db: Database.Database) {
  const prepared = new Map<string, Database.Statement<object, unknown>>()

  /** By its text, which is made of nothing that a request has but the number of its values. */
  function prepare<Row> (text: string): Database.Statement<object, Row> {
    let statement = prepared.get(text)
    if (statement === undefined) {
      if (prepared.size >= MAX_PREPARED) prepared.clear()
      prepared.set(text, statement = db.prepare<object, unknown>(text))
    }
    return statement as Database.Statement<object, Row>
  }

  /** What is asked of the next `size` entries of the index behind a place, and the last of them; undefined where there are fewer. */
  function prepareScan (filter: FindingFilter, order: FindingOrder, size: number, what: string) {
    const drive = chooseDrive(filter)
    const entries = `${partsOf(filter, drive, order).join(' UNION ALL ')} ORDER BY ${order === '-time' ? 'timeUs DESC, id DESC' : 'timeUs, id'}`
    return {
      select: prepare<unknown>(`SELECT ${what} FROM (${entries} LIMIT ${size}) WHERE fits LIMIT @limit`),
      selectLast: prepare<FindingPlace>(`SELECT timeUs, id FROM (${entries} LIMIT 1 OFFSET ${size - 1})`),
      params: { ...paramsOf(filter, drive), earliest_us: filter.window.earliestUs, latest_us: filter.window.latestUs },
    }
  }

  /** Of the filters that an index can be gone by, one that few findings meet. */
  function chooseDrive (filter: FindingFilter): Drive {
    const [first, ...others] = drivesOf(filter)
    if (others.length === 0) return first!
    let best = { drive: first!, count: Infinity }
    for (const drive of [first!, ...others]) {
      const parts = partsOf({ window: filter.window, throttled: filter.throttled, suppressed: filter.suppressed, suppressed_by: filter.suppressed_by }, drive, '-time')
      const count = prepare<{ count: number }>(`SELECT count(*) AS count FROM (${parts.join(' UNION ALL ')} LIMIT ${MANY})`)
        .get({ ...paramsOf(filter, drive), earliest_us: filter.window.earliestUs, ...placed(startOf(filter.window, '-time')) })!.count
      if (count < best.count) best = { drive, count }
    }
    return best.drive
  }

  return {
    /** Up to `limit` findings behind a place, if one is given. */
    async page (filter: FindingFilter, order: FindingOrder, limit: number, after?: FindingPlace): Promise<FindingPlace[]> {
      const { select, selectLast, params } = prepareScan(filter, order, AT_A_TIME, 'timeUs, id')
      const found: FindingPlace[] = []
      for (let place = after ?? startOf(filter.window, order); ;) {
        found.push(...select.all({ ...params, ...placed(place), limit: limit - found.length }) as FindingPlace[])
        const last = found.length < limit ? selectLast.get({ ...params, ...placed(place) }) : undefined
        if (last === undefined) return found
        place = last
        await setImmediate()
      }
    },
    async count (filter: FindingFilter): Promise<number> {
      const { select, selectLast, params } = prepareScan(filter, '-time', COUNT_AT_A_TIME, 'count(*) AS count')
      let total = 0
      for (let place: FindingPlace | undefined = startOf(filter.window, '-time'); place !== undefined;) {
        total += (select.get({ ...params, ...placed(place), limit: 1 }) as { count: number }).count
        place = selectLast.get({ ...params, ...placed(place) })
        if (place !== undefined) await setImmediate()
      }
      return total
    },
  }
}
export type FindingLists = ReturnType<typeof openFindingLists>

/** What lists of a finding look it up by. */
export function openFindingFacets (db: Database.Database) {
  const insert = db.prepare('INSERT OR IGNORE INTO finding_facet (kind, value, visibility, time_us, finding_id) VALUES (@kind, @value, @visibility, @timeUs, @id)')
  const remove = db.prepare('DELETE FROM finding_facet WHERE kind = @kind AND value = @value AND visibility = @visibility AND time_us = @timeUs AND finding_id = @id')

  const rowsOf = ({ id, visibility, timeUs, body }: FacetedFinding) => [
    ...body.risk.objects.map(({ value }) => ({ kind: 'risk_object', value, visibility, timeUs, id })),
    ...techniquesOf(body).map(value => ({ kind: 'technique', value, visibility, timeUs, id })),
  ]

  return {
    /** In place of those of the revision before; null where there was none. Who calls opens the transaction. */
    put (before: FacetedFinding | null, now: FacetedFinding): void {
      if (before !== null) for (const row of rowsOf(before)) remove.run(row)
      for (const row of rowsOf(now)) insert.run(row)
    },
  }
}

export interface FacetedFinding { readonly id: string, readonly visibility: Visibility, readonly timeUs: number, readonly body: Pick<Finding, 'risk' | 'mitre_attack'> }

export function visibilityOf ({ throttled_by: throttledBy, suppressed_by: suppressedBy }: Pick<Finding, 'throttled_by' | 'suppressed_by'>): Visibility {
  if (suppressedBy !== null) return 'suppressed'
  return throttledBy === null ? 'shown' : 'throttled'
}

/** Whether lists that are asked for by a filter have a finding. */
export function meets (finding: Finding, filter: FindingFilter): boolean {
  const timeUs = toMicroseconds(finding.time)
  const isOneOf = (values: readonly string[] | undefined, value: string | null) => values === undefined || values.includes(value ?? 'none')
  return timeUs >= filter.window.earliestUs && timeUs < filter.window.latestUs &&
    visibilitiesOf(filter).includes(visibilityOf(finding)) &&
    isOneOf(filter.status, finding.status) && isOneOf(filter.disposition, finding.disposition) && isOneOf(filter.owner, finding.owner) &&
    isOneOf(filter.severity, severityOf(finding.risk.score)) && isOneOf(filter.detection, finding.detection.id) &&
    (filter.technique === undefined || techniquesOf(finding).includes(filter.technique)) &&
    (filter.risk_object === undefined || finding.risk.objects.some(({ value }) => value === filter.risk_object)) &&
    (filter.min_score === undefined || finding.risk.score >= filter.min_score) &&
    (filter.suppressed_by === undefined || finding.suppressed_by === filter.suppressed_by)
}

/** Those of a finding, and of its sub-techniques the techniques. */
function techniquesOf ({ mitre_attack: techniques }: Pick<Finding, 'mitre_attack'>): string[] {
  return techniques.flatMap(name => name.includes('.') ? [name, name.slice(0, name.indexOf('.'))] : [name])
}

/** Which findings a filter asks for, of those that are shown and of those that are not. */
function visibilitiesOf ({ throttled, suppressed, suppressed_by: suppressedBy }: FindingFilter): Visibility[] {
  if (suppressedBy !== undefined || suppressed === 'only') return ['suppressed']
  if (throttled === 'only') return ['throttled']
  return ['shown', ...throttled === 'include' ? ['throttled' as const] : [], ...suppressed === 'include' ? ['suppressed' as const] : []]
}

/** What a list can go by; the last is its time alone. */
function drivesOf (filter: FindingFilter): Drive[] {
  const { min_score: minScore } = filter
  const isShownOnly = visibilitiesOf(filter).join() === 'shown'
  // Hidden findings have no indexes of their own by status and the like: they are looked at for once, not worked on.
  const ofColumn = (name: string, values: readonly string[] | undefined, column = name): Drive[] => values === undefined || !isShownOnly
    ? []
    : [{
        name, values: [...new Set(values)].map(value => value === 'none' && (name === 'disposition' || name === 'owner') ? null : value),
        from: () => ({ table: `finding INDEXED BY finding_shown_${column}_idx`, where: `${IS_SO.shown} AND ${column} IS @drive`, id: 'id', isJoin: false }),
      }]
  const ofFacet = (kind: string, value: string | undefined): Drive[] => value === undefined
    ? []
    : [{
        name: kind, values: [value],
        from: visibility => ({ table: 'finding_facet', where: `kind = '${kind}' AND value = @drive AND visibility = '${visibility}'`, id: 'finding_id', isJoin: true }),
      }]
  const severity = filter.severity ?? (minScore === undefined || minScore === 0 ? undefined : ALL_SEVERITIES.slice(ALL_SEVERITIES.indexOf(severityOf(minScore))))
  const drives = [
    ...filter.suppressed_by === undefined
      ? []
      : [{
          name: 'suppressed_by', values: [filter.suppressed_by],
          from: () => ({ table: 'finding INDEXED BY finding_suppressed_by_idx', where: `${IS_SO.suppressed} AND suppressed_by = @drive`, id: 'id', isJoin: false }),
        }],
    ...ofFacet('risk_object', filter.risk_object),
    ...ofFacet('technique', filter.technique),
    ...ofColumn('owner', filter.owner),
    ...ofColumn('detection', filter.detection, 'detection_id'),
    ...ofColumn('disposition', filter.disposition),
    ...ofColumn('status', filter.status),
    ...ofColumn('severity', severity),
  ]
  if (drives.length > 0) return drives
  return [{ name: 'time', values: [null], from: visibility => ({ table: `finding INDEXED BY finding_${visibility}_idx`, where: IS_SO[visibility], id: 'id', isJoin: false }) }]
}

/** The conditions of a filter that aren't those of what its list goes by. */
function conditionsOf (filter: FindingFilter, drive: Drive, visibility: Visibility): { readonly columns: string[], readonly facets: string[] } {
  const isOneOf = (name: 'status' | 'disposition' | 'owner' | 'severity' | 'detection', column: string) =>
    filter[name] === undefined || drive.name === name ? [] : [`${column} IN (SELECT value FROM json_each(@${name}))`]
  const hasFacet = (kind: 'risk_object' | 'technique') => filter[kind] === undefined || drive.name === kind
    ? []
    : [`EXISTS (SELECT 1 FROM finding_facet AS other WHERE other.kind = '${kind}' AND other.value = @${kind} AND other.visibility = '${visibility}' AND other.time_us = found.time_us AND other.finding_id = found.id)`]
  return {
    columns: [
      ...isOneOf('status', 'status'),
      ...isOneOf('disposition', "coalesce(disposition, 'none')"),
      ...isOneOf('owner', "coalesce(owner, 'none')"),
      ...isOneOf('severity', SEVERITY),
      ...isOneOf('detection', 'detection_id'),
      ...filter.min_score === undefined ? [] : ['score >= @min_score'],
      ...filter.suppressed_by === undefined || drive.name === 'suppressed_by' ? [] : ['suppressed_by = @suppressed_by'],
    ],
    facets: [...hasFacet('risk_object'), ...hasFacet('technique')],
  }
}

/** One query for each value and each visibility: SQLite merges them in the order of the list, and reads none further than it has to. */
function partsOf (filter: FindingFilter, drive: Drive, order: FindingOrder): string[] {
  const bounds = order === '-time'
    ? { from: 'time_us >= @earliest_us', behind: '<' }
    : { from: 'time_us < @latest_us', behind: '>' }
  return visibilitiesOf(filter).flatMap(visibility => drive.values.map((_, i) => {
    const { table, where, id, isJoin } = drive.from(visibility)
    const { columns, facets } = conditionsOf(filter, drive, visibility)
    const entries = `SELECT time_us, ${id} AS id${isJoin ? '' : ', status, disposition, owner, detection_id, score'} FROM ${table}
      WHERE ${where.replace('@drive', `@drive${i}`)} AND ${bounds.from} AND (time_us, ${id}) ${bounds.behind} (@place_us, @place_id)`
    if (!isJoin || columns.length === 0) return `SELECT time_us AS timeUs, id, ${all([...columns, ...facets])} AS fits FROM (${entries}) AS found`
    // By the index, which has all the columns; rows of the table are large.
    return `SELECT found.time_us AS timeUs, found.id, ${all([`EXISTS (SELECT 1 FROM finding INDEXED BY finding_${visibility}_idx
      WHERE finding.time_us = found.time_us AND finding.id = found.id AND ${[IS_SO[visibility], ...columns].join(' AND ')})`, ...facets])} AS fits FROM (${entries}) AS found`
  }))
}

function all (conditions: readonly string[]): string {
  return conditions.length === 0 ? '1' : `(${conditions.join(' AND ')})`
}

function paramsOf (filter: FindingFilter, drive: Drive): Record<string, unknown> {
  const json = (values: readonly string[] | undefined) => JSON.stringify(values ?? [])
  return {
    ...Object.fromEntries(drive.values.map((value, i) => [`drive${i}`, value])),
    status: json(filter.status), disposition: json(filter.disposition), owner: json(filter.owner), severity: json(filter.severity), detection: json(filter.detection),
    technique: filter.technique, risk_object: filter.risk_object, min_score: filter.min_score, suppressed_by: filter.suppressed_by,
  }
}

function placed ({ timeUs, id }: FindingPlace) {
  return { place_us: timeUs, place_id: id }
}

/** Before all findings of the window: no id is empty. */
function startOf ({ earliestUs, latestUs }: Window, order: FindingOrder): FindingPlace {
  return { timeUs: order === '-time' ? latestUs : earliestUs, id: '' }
}
