import { fileURLToPath } from 'node:url'

/** Path of a file or folder that ships with Hecate, given from the package's root; the same from `dist/` and `build/`. */
export function resourcePath (path: string): string {
  return fileURLToPath(new URL(path, import.meta.resolve('#root/package.json')))
}

/** Address of a compiled file that is no part of another, such as a thread's; given from `src`, whose folders are those of `dist/` too. */
export function codeUrl (path: string): URL {
  return new URL(path, import.meta.url) // this module, or what it was bundled into, lies at the root of both
}
