import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join, normalize, sep } from 'node:path'
import { build } from 'esbuild'

/**
 * Makes a few files of `src` and the packages that it uses: a start that loads each module by itself takes a third longer. The page stays as `tsc` left it, a module a file.
 * `node bundle.js [FOLDER [PAGE]]`: the folder is `dist` where none is given, and the page is in it already where it is in no other.
 */
const [outdir = 'dist', page] = process.argv.slice(2)

/** Packages with native code, which look for it beside themselves. */
const NATIVE = ['better-sqlite3', 'lz4-napi', '@toondepauw/node-zstd']

if (page !== undefined) cpSync(page, `${outdir}/ui/page`, { recursive: true })
const { metafile } = await build({
  entryPoints: ['src/main.ts', 'src/**/*-thread.ts'],
  outbase: 'src',
  outdir,
  bundle: true,
  splitting: true, // a thread loads what it needs
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  external: NATIVE,
  sourcemap: true,
  sourcesContent: false,
  banner: { js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);" }, // for packages that are CommonJS
  logLevel: 'warning',
  metafile: true,
})
removeOthers(Object.keys(metafile.outputs))

/** What an earlier build has left has other names, and `tsc` leaves more than the page. Not before there is something in its place. */
function removeOthers (made) {
  const compiled = join(outdir, 'ui', 'page')
  const kept = [...made.map(path => normalize(path)), compiled]
  for (const name of readdirSync(outdir, { recursive: true })) {
    const path = join(outdir, name)
    const isKept = path.startsWith(compiled + sep) || kept.some(one => one === path || one.startsWith(path + sep))
    if (!isKept) rmSync(path, { recursive: true, force: true })
  }
}
