import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

/**
 * Makes a few files of `src` and the packages that it uses: a start that loads each module by itself takes a third longer. The page stays as `tsc` left it, a module a file.
 * `node bundle.js [FOLDER [PAGE]]`: the folder is `dist` where none is given, and the page is in it already where it is in no other.
 */
const [outdir = 'dist', page] = process.argv.slice(2)

/** Packages with native code, which look for it beside themselves. */
const NATIVE = ['better-sqlite3', 'lz4-napi', '@toondepauw/node-zstd']

removeOld()
if (page !== undefined) cpSync(page, `${outdir}/ui/page`, { recursive: true })
await build({
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
})

/** Files of an earlier build have other names. */
function removeOld () {
  if (!existsSync(outdir)) return
  for (const name of readdirSync(outdir)) if (name !== 'ui') rmSync(`${outdir}/${name}`, { recursive: true })
}
