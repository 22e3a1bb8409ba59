import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Makes renames in a folder outlive a power failure. */
export function syncFolder (dir: string): void {
  const folder = openSync(dir, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
