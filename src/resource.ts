import { fileURLToPath } from 'node:url'

/** Path of a file or folder that ships with Hecate, given from the package's root; the same from `dist/` and `build/`. */
export function resourcePath (path: string): string {
  return fileURLToPath(new URL(path, import.meta.resolve('#root/package.json')))
}
