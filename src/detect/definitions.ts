import type { DetectionStore } from '../store/control/detections.js'
import type { CompiledDefinition, CompiledSchedule } from './definition.js'
import { compileDefinition, compileSchedule } from './definition.js'

/** The definitions that control.db keeps, each compiled once. */
export function openDefinitions (store: DetectionStore) {
  const compiledByHash = new Map<string, CompiledDefinition>()
  const scheduleByHash = new Map<string, CompiledSchedule>()
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
  }
}
export type Definitions = ReturnType<typeof openDefinitions>
