/** What `statfs` says of a file system, as far as it matters here. */
export interface DiskSpace { readonly bsize: number, readonly bavail: number }

/** How much room there is where the data folder is. */
export interface DiskState {
  readonly freeBytes: number
  /** Below it no events are taken: what is left is for findings, for the ledger, and for what SQLite needs to come to an end. */
  readonly reserveBytes: number
  readonly isFull: boolean
}

export type Disk = ReturnType<typeof openDisk>

/**
 * Watches the disk, unless the reserve is 0. `look` asks the file system; what it does not know yet is counted as if none of it were compressed, so
 * that a burst can't overshoot.
 */
export function openDisk ({ reserveBytes, statfs }: { readonly reserveBytes: number, readonly statfs: () => DiskSpace }) {
  let freeBytes = 0
  /** Taken, and perhaps not stored yet. */
  let underwayBytes = 0
  /** Stored since the file system was asked. */
  let storedBytes = 0
  look()

  function look (): void {
    const { bsize, bavail } = statfs()
    freeBytes = bsize * bavail
    storedBytes = 0
  }

  function hasRoom (bytes: number): boolean {
    return reserveBytes === 0 || freeBytes - storedBytes - underwayBytes - bytes >= reserveBytes
  }

  return {
    look,
    state: (): DiskState => ({ freeBytes, reserveBytes, isFull: !hasRoom(0) }),
    /** Counts what is about to be stored; false, and not counted, where there is no room for it. */
    tryTake (bytes: number): boolean {
      if (!hasRoom(bytes)) return false
      underwayBytes += bytes
      return true
    },
    /** What was taken is stored, or is not going to be. */
    give (bytes: number): void {
      underwayBytes -= bytes
      storedBytes += bytes
    },
  }
}
