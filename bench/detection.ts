import { DEFAULT_SCHEDULE } from '../src/detection.js'
import type { Window } from '../src/event.js'
import type { CompiledDefinition } from '../src/detect/definition.js'
import { compileDefinition } from '../src/detect/definition.js'
import { loadDetectionFiles } from '../src/detect/load.js'
import { toMacros } from '../src/detect/macros.js'
import { COLUMNS } from '../src/fields/tables.js'
import { resourcePath } from '../src/resource.js'
import { expandMacros } from '../src/spl/macro.js'
import { parseSearch } from '../src/spl/parse.js'
import type { SearchPlan } from '../src/spl/plan.js'
import { planSearch } from '../src/spl/plan.js'
import type { EventStore } from '../src/store/events.js'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { storeOptions } from './writer-loop.js'

export interface DetectionFigures {
  /** The hourly run. */
  readonly run: SearchFigures
  /** The same search over some of the hour, by the store and with push-down off. */
  readonly pushed: SearchFigures
  readonly notPushed: SearchFigures
}

export interface SearchFigures { readonly ms: number, readonly rows: number, readonly scannedEvents: number }

/** The seed's detection. */
export const SEED = 'detections/cisco_isovalent___potential_escape_to_host.yml'

const RUNS = 3

/** The seed's detection as the server compiles it. */
export function compileSeed (): CompiledDefinition {
  const detection = loadDetectionFiles({ shipped: [], paths: [resourcePath(SEED)] })[0]?.detection
  if (detection === undefined || detection === null) throw new Error(`${SEED} is no detection`)
  const { id, name, version, type, search, risk, mitre_attack } = detection
  return compileDefinition({
    detection_id: id, name, version, type, risk, mitre_attack: [...mitre_attack], throttling: null, search: expandMacros(search, toMacros({})).text, schedule: DEFAULT_SCHEDULE, time_zone: 'UTC',
    data_models: {},
    lookups: {},
  }, () => { throw new Error('it names no lookup') })
}

/** Runs the detection over the events in `dataDir`; without push-down over the first `share` of its window alone. */
export async function measureDetection (dataDir: string, { plan, definition }: CompiledDefinition, window: Window, share: number): Promise<DetectionFigures> {
  const notPushedPlan = planSearch(parseSearch(definition.search, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown: 'off' })
  const part = { ...window, latestUs: window.earliestUs + Math.floor((window.latestUs - window.earliestUs) * share) }
  const events = await openSqliteEvents(storeOptions(dataDir))
  try {
    return {
      run: await middleOf(RUNS, () => runSearch(events, plan, window)),
      pushed: await middleOf(RUNS, () => runSearch(events, plan, part)),
      notPushed: await runSearch(events, notPushedPlan, part),
    }
  } finally {
    await events.close()
  }
}

async function runSearch (events: EventStore, plan: SearchPlan, window: Window): Promise<SearchFigures> {
  const startMs = performance.now()
  const { rows, scannedEvents } = await events.search(plan, { window, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: 10_000 })
  return { ms: performance.now() - startMs, rows: rows.length, scannedEvents }
}

async function middleOf (runs: number, run: () => Promise<SearchFigures>): Promise<SearchFigures> {
  const figures: SearchFigures[] = []
  for (let i = 0; i < runs; i++) figures.push(await run())
  return figures.sort((a, b) => a.ms - b.ms)[runs >> 1]!
}
