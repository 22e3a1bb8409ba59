import type { DetectionStore } from '../store/control/detections.js'
import type { CompiledDefinition, CompiledSchedule } from './definition.js'
import { compileDefinition, compileSchedule } from './definition.js'

/** What of a definition decides its rows, each as text that is equal where it is the same. */
export type DefinedSearch = Readonly<Record<'search' | 'lookups' | 'data models', string>>

/** The definitions that control.db keeps, each compiled once. */
export function openDefinitions (store: DetectionStore) {
  const compiledByHash = new Map<string, CompiledDefinition>()
  const scheduleByHash = new Map<string, CompiledSchedule>()
  const searchByHash = new Map<string, DefinedSearch>()
  return {
    /** Keeps a definition for good, with the lookups that it names. */
    keep (compiled: CompiledDefinition, nowMs: number): void {
      if (compiledByHash.has(compiled.hash)) return
      store.keepLookups([...compiled.plan.lookups.values()], nowMs)
      store.keepDefinition(compiled.hash, compiled.definition, nowMs)
      compiledByHash.set(compiled.hash, compiled)
    },
    /** Throws SplError for what this version can't run, though the one that kept it could. */
    get (hash: string): CompiledDefinition {
      let compiled = compiledByHash.get(hash)
      if (compiled === undefined) {
        compiled = compileDefinition(store.definition(hash), store.lookup)
        compiledByHash.set(hash, compiled)
      }
      return compiled
    },
    /** Also of a definition that can't run: its slots are owed all the same. */
    schedule (hash: string): CompiledSchedule {
      let schedule = compiledByHash.get(hash) ?? scheduleByHash.get(hash)
      if (schedule === undefined) {
        schedule = compileSchedule(store.definition(hash))
        scheduleByHash.set(hash, schedule)
      }
      return schedule
    },
    search (hash: string): DefinedSearch {
      let search = searchByHash.get(hash)
      if (search === undefined) {
        const { search: text, lookups, data_models: dataModels } = compiledByHash.get(hash)?.definition ?? store.definition(hash)
        search = { search: text, lookups: JSON.stringify(lookups), 'data models': JSON.stringify(dataModels) }
        searchByHash.set(hash, search)
      }
      return search
    },
  }
}
export type Definitions = ReturnType<typeof openDefinitions>
