import { createRequire } from 'node:module'
import { resourcePath } from '../src/resource.js'
import { runChild } from './child.js'
import type { ClickhouseOptions } from './clickhouse.js'

/** ClickHouse's engine over the columns of the same events (bench/peer/README.md). */
export interface PeerFigures {
  readonly version: string
  readonly events: number
  /** Of the aggregation, with as many threads as the engine takes, and with one. */
  readonly ms: number
  readonly oneThreadMs: number
  /** Whether its rows are those of the detection. */
  readonly sameRows: boolean
}

const PACKAGE = 'chdb'

const fromPackage = createRequire(resourcePath('bench/peer/package.json'))

/** The package, in the process that runs it. */
export function loadPeer (): unknown {
  return fromPackage(PACKAGE)
}

/** Where the engine is missing, or does not run here, a few words that say so: the rest of the table is as good. */
export async function measurePeer (options: ClickhouseOptions, signal: AbortSignal): Promise<PeerFigures | string> {
  if (!isInstalled()) return 'not installed'
  try {
    return await runChild<PeerFigures>('clickhouse', options, signal)
  } catch {
    signal.throwIfAborted()
    return 'failed' // it has said why
  }
}

function isInstalled (): boolean {
  try {
    fromPackage.resolve(PACKAGE)
    return true
  } catch {
    return false
  }
}
