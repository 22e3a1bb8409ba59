import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { syncFolder } from '../sync.js'
import type { Block } from './blocks.js'
import { reading } from './damage.js'
import type { BlockPart, StoredBlock } from './join.js'
import { INSERT_BLOCK, joinParts, readPart, sizeOf } from './join.js'
import { makeTables, openPartitionReadOnly, readSummary } from './partition.js'
import type { PartitionSummary } from './partition.js'
import { openBlocks } from './partition-reader.js'
import { partitionPath, removePacking } from './partition-files.js'

/**
 * Two full blocks and what a commit has left behind them: a tenth smaller on disk, and five milliseconds to read for one event. More would make it a twentieth
 * smaller at twice that.
 */
export const MAX_PACKED_EVENTS = 1152
export const MAX_PACKED_BYTES = 5 << 20

/** Entries of the dictionary, and of the re-sends, that are copied at once: a value may be as long as an event. */
const ROWS_AT_ONCE = 20

/** Of the copy: nothing that is written is read again, and better-sqlite3's 16 MB make nothing faster. */
const CACHE_KIB = 256

/** Some 5 MB: gigabytes that are synced at once hold up the syncs of the server. */
const BLOCKS_A_SYNC = 16

export interface PackOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly name: string
  /** A re-send is not looked for among requests that came before. */
  readonly resendsAfterUs: number
  /** Comes after each piece of work, with how long that took. Rejects to stop. */
  readonly pause: (workedMs: number) => Promise<void>
}

/**
 * Writes a copy of a partition beside it: the same events under the same ids in larger blocks, better compressed, in the newest schema. Resolves with
 * what the copy says of itself when it is on disk; where it rejects nothing is left. Throws DamageError.
 */
export async function packPartition ({ dir, name, resendsAfterUs, pause }: PackOptions): Promise<PartitionSummary> {
  const path = partitionPath(dir, name, 'packing')
  removePacking(dir, name) // of a stop
  const file = openSync(path, 'wx', 0o600)
  let from: Database.Database | null = null
  let to: Database.Database | null = null
  try {
    from = openPartitionReadOnly(dir, name)
    from.exec('BEGIN') // all of it as it is at one moment, should the clock go back and somebody write it again
    to = new Database(path)
    to.pragma('journal_mode = OFF') // a copy that is not finished is thrown away
    to.pragma('synchronous = OFF') // it is synced here
    to.pragma(`cache_size = -${CACHE_KIB}`)
    makeTables(to)
    const steps = copySteps(from, to, { name, resendsAfterUs })
    for (let synced = 0; ;) {
      const startMs = performance.now()
      const { value: blocks, done } = steps.next()
      if (done === true) break
      if (blocks - synced >= BLOCKS_A_SYNC) {
        fsyncSync(file)
        synced = blocks
      }
      await pause(performance.now() - startMs)
    }
    const summary = readSummary(to, name)
    to.pragma('journal_mode = WAL') // as all partitions have it: who reads one in another mode leaves no mark that it is in use
    to.close()
    fsyncSync(file)
    return summary
  } catch (error) {
    to?.close()
    removePacking(dir, name)
    throw error
  } finally {
    from?.close()
    closeSync(file) // not before SQLite is done with the file: that would lose its locks
  }
}

/** Copies piece by piece; gives how many blocks there are by now. */
function * copySteps (from: Database.Database, to: Database.Database, { name, resendsAfterUs }: Pick<PackOptions, 'name' | 'resendsAfterUs'>): Generator<number, void> {
  const { fieldsHash, firstId, lastId, eventCount, minTimeUs, maxTimeUs } = readSummary(from, name)
  const insert = to.prepare<StoredBlock>(INSERT_BLOCK)
  let blocks = 0
  let events = 0
  for (const parts of groupsOf(from, name)) {
    insert.run(joinParts(parts, 'packed'))
    events += parts.reduce((sum, { items }) => sum + items.length, 0)
    yield ++blocks
  }
  if (events !== eventCount) throw new Error(`${name} holds ${events} events, not ${eventCount}`) // no damage: what is there can be searched
  for (const table of ['dictionary', 'resend']) {
    const select = from.prepare<[number], { id: number, arrival_us?: number }>(`SELECT * FROM ${table} WHERE id > ? ORDER BY id LIMIT ${ROWS_AT_ONCE}`)
    const insertRows = rowInserter(to, table, select.columns().map(({ name: column }) => column))
    for (let after = 0; ;) {
      const rows = reading(name, () => select.all(after))
      if (rows.length === 0) break
      insertRows(rows.filter(({ arrival_us: arrivalUs }) => arrivalUs === undefined || arrivalUs >= resendsAfterUs))
      after = rows.at(-1)!.id
      yield blocks
    }
  }
  to.prepare(`
    INSERT INTO partition (one, fields_hash, first_id, last_id, event_count, min_time_us, max_time_us, merged_id, packed)
    VALUES (1, @fieldsHash, @firstId, @lastId, @eventCount, @minTimeUs, @maxTimeUs, @lastId, 1)
  `).run({ fieldsHash, firstId, lastId, eventCount, minTimeUs, maxTimeUs })
}

/** Blocks that become one, in the order of their ids. */
function * groupsOf (db: Database.Database, name: string): Generator<readonly BlockPart[]> {
  const reader = openBlocks(db, name)
  const selectNext = db.prepare<[number], Block>('SELECT first_id, last_id, min_time_us, max_time_us, odd FROM block WHERE first_id > ? ORDER BY first_id LIMIT 1')
  const next = (afterId: number) => reading(name, () => selectNext.get(afterId))
  let parts: BlockPart[] = []
  let events = 0
  let bytes = 0
  for (let block = next(0); block !== undefined; block = next(block.last_id)) {
    const part = readPart(reader, block)
    const partBytes = sizeOf(part.items)
    const isBehindGap = parts.length > 0 && parts.at(-1)!.last_id + 1 !== part.first_id // after a crash; a block's ids have none
    if (isBehindGap || (parts.length > 0 && (events + part.items.length > MAX_PACKED_EVENTS || bytes + partBytes > MAX_PACKED_BYTES))) {
      yield parts
      parts = []
      events = 0
      bytes = 0
    }
    parts.push(part)
    events += part.items.length
    bytes += partBytes
  }
  if (parts.length > 0) yield parts
}

/** Inserts rows of a table with these columns, in one transaction. */
function rowInserter (db: Database.Database, table: string, columns: readonly string[]) {
  const insert = db.prepare<object>(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  return db.transaction((rows: readonly object[]) => { for (const row of rows) insert.run(row) })
}

/**
 * Done: the packed copy is in the partition's place. Busy: somebody has the partition open. Outdated: the copy is not what the partition holds by now, or there
 * is no partition any more.
 */
export type PutOutcome = 'done' | 'busy' | 'outdated'

/** Puts the packed copy in the partition's place, in one step; what was there is left to be removed, a piece at a time. Throws DamageError. */
export function putPacked (dir: string, packed: PartitionSummary): PutOutcome {
  const { name } = packed
  const path = partitionPath(dir, name)
  const db = new Database(path, { timeout: 0, fileMustExist: true }) // nobody is waited for
  try {
    const { lastId, eventCount } = reading(name, () => readSummary(db, name))
    if (lastId !== packed.lastId || eventCount !== packed.eventCount) return 'outdated'
    db.pragma('journal_mode = DELETE') // takes the WAL away, which would be the copy's; only where nobody else has it open
    db.exec('BEGIN EXCLUSIVE') // nor opens it now; and that nobody has, where a try before this one took the WAL away
    syncFolder(dir) // the WAL is gone for good before the copy has its name
    linkOld(path, partitionPath(dir, name, 'unpacked'))
    renameSync(partitionPath(dir, name, 'packing'), path)
    syncFolder(dir)
    return 'done'
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return 'busy'
    throw error
  } finally {
    db.close()
  }
}

/** A second name for what is about to lose its own, under which it can be removed a piece at a time. A file system without such names removes it at once. */
function linkOld (path: string, old: string): void {
  rmSync(old, { force: true })
  try {
    linkSync(path, old)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}
