import type { Window } from '../event.js'
import type { BackfillStore } from '../store/control/backfills.js'
import type { DefinedStretch, LedgerStore } from '../store/control/ledger.js'
import type { ActiveDetection } from './active.js'
import type { Definitions, DefinedSearch } from './definitions.js'

/** A stretch that was evaluated with a search which has changed since: a backfill of it would say what the search of now finds there. */
export interface Offer {
  readonly window: Window
  /** What of the definition was another. */
  readonly changed: readonly (keyof DefinedSearch)[]
}

export interface OfferDeps {
  readonly ledger: LedgerStore
  readonly backfills: BackfillStore
  readonly definitions: Definitions
  readonly now: () => number
}

/** How far back a backfill is offered. */
const OFFERED_MS = 30 * 86_400_000

/** Backfills that are offered because a search has changed, its lookups or data models; risk, schedule and names change no rows. */
export function openOffers ({ ledger, backfills, definitions, now }: OfferDeps) {
  const sinceMs = () => now() - OFFERED_MS

  function offerOf ({ id, compiled }: ActiveDetection, stretches: readonly DefinedStretch[]): Offer | null {
    if (compiled === null || stretches.every(({ definition_hash: hash }) => hash === compiled.hash)) return null
    const { search, lookups, data_models: dataModels } = compiled.definition
    const current: DefinedSearch = { search, lookups: JSON.stringify(lookups), 'data models': JSON.stringify(dataModels) }
    const changedIn = (hash: string) => PARTS.filter(part => definitions.search(hash)[part] !== current[part])
    const others = stretches.filter(({ definition_hash: hash }) => hash !== compiled.hash && changedIn(hash).length > 0)
    if (others.length === 0) return null
    const window = { earliestUs: Math.min(...others.map(one => one.earliest_us)), latestUs: Math.max(...others.map(one => one.latest_us)) }
    // Where the schedule has changed too, or events are gone, slots stay as they were after it.
    if (backfills.covering(id, window).some(hash => changedIn(hash).length === 0)) return null
    return { window, changed: PARTS.filter(part => others.some(({ definition_hash: hash }) => changedIn(hash).includes(part))) }
  }

  return {
    of: (active: ActiveDetection): Offer | null => offerOf(active, ledger.stretches(sinceMs(), active.id)),
    /** One look for many detections; by their ids, without those that have none. */
    ofAll (all: readonly ActiveDetection[]): ReadonlyMap<string, Offer> {
      const byDetection = new Map<string, DefinedStretch[]>()
      for (const one of ledger.stretches(sinceMs())) byDetection.set(one.detection_id, [...byDetection.get(one.detection_id) ?? [], one])
      return new Map(all.flatMap(one => {
        const offer = offerOf(one, byDetection.get(one.id) ?? [])
        return offer === null ? [] : [[one.id, offer] as const]
      }))
    },
  }
}
export type Offers = ReturnType<typeof openOffers>

const PARTS = ['search', 'lookups', 'data models'] as const satisfies readonly (keyof DefinedSearch)[]
