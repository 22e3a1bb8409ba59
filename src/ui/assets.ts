import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { codeUrl, resourcePath } from '../resource.js'

export type Encoding = 'br' | 'gzip' | 'identity'

/** One file that the browser loads. */
export interface Asset {
  readonly type: string
  /** Weak: each encoding has it. */
  readonly etag: string
  /** Its bytes; compressed when they are first asked for, and kept. */
  readonly as: (encoding: Encoding) => Promise<Buffer>
}

export interface Assets {
  /** Hash of all files: it is in their paths. */
  readonly version: string
  /** By the path below `/ui/{version}/`. */
  readonly files: ReadonlyMap<string, Asset>
  readonly html: Asset
  /** Of the one inline script, for the Content-Security-Policy. */
  readonly importMapHash: string
}

/** What modules of the page import by name. Nothing else of node_modules is served. */
const LIBRARIES = {
  preact: 'preact',
  'preact/hooks': 'preact/hooks',
  'preact/jsx-runtime': 'preact/jsx-runtime',
  uplot: 'uplot/dist/uPlot.esm.js',
} as const

const UPLOT_CSS = 'uplot/dist/uPlot.min.css'

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** The files of the page: its compiled modules, `assets/`, and the libraries that it imports. They are read once, and are the same until the process ends. */
export function openAssets (): Assets {
  const modules = fileURLToPath(codeUrl('ui/page/'))
  const assets = resourcePath('assets')
  const contents = new Map<string, Buffer>([
    ...filesBelow(modules).filter(name => name.endsWith('.js')).map(name => [`page/${name}`, readFileSync(`${modules}/${name}`)] as const),
    ...filesBelow(assets).map(name => [`assets/${name}`, readFileSync(`${assets}/${name}`)] as const),
    ...Object.entries(LIBRARIES).map(([name, file]) => [`lib/${name}.js`, readFileSync(fileURLToPath(import.meta.resolve(file)))] as const),
    ['lib/uplot.css', readFileSync(fileURLToPath(import.meta.resolve(UPLOT_CSS)))],
  ])
  const hash = createHash('sha256')
  for (const [path, bytes] of contents) hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  const version = hash.digest('base64url').slice(0, 16)
  const base = `/ui/${version}`
  const importMap = JSON.stringify({ imports: Object.fromEntries(Object.keys(LIBRARIES).map(name => [name, `${base}/lib/${name}.js`])) })
  return {
    version,
    files: new Map([...contents].map(([path, bytes]) => [path, toAsset(bytes, TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream')])),
    html: toAsset(Buffer.from(htmlOf(base, [...contents.keys()], importMap)), 'text/html; charset=utf-8'),
    importMapHash: `sha256-${createHash('sha256').update(importMap).digest('base64')}`,
  }
}

function filesBelow (dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => `${entry.parentPath}/${entry.name}`.slice(dir.length).replace(/^\/+/, ''))
    .sort()
}

/** All modules are announced at once: without a bundler, each would be found only when the one that imports it has come. */
function htmlOf (base: string, paths: readonly string[], importMap: string): string {
  const styles = ['lib/uplot.css', 'assets/style.css', ...paths.filter(path => /^assets\/.*\.css$/.test(path) && path !== 'assets/style.css')]
  const modules = paths.filter(path => /^(page|lib)\/.*\.js$/.test(path))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Hecate</title>
<link rel="icon" href="${base}/assets/icon.svg" type="image/svg+xml">
<script src="${base}/assets/theme.js"></script>
${styles.map(path => `<link rel="stylesheet" href="${base}/${path}">`).join('\n')}
<script type="importmap">${importMap}</script>
${modules.map(path => `<link rel="modulepreload" href="${base}/${path}">`).join('\n')}
<script type="module" src="${base}/page/main.js"></script>
</head>
<body>
<div id="app"></div>
<noscript>The page of Hecate is made by scripts that Hecate itself serves; the API under /api/v1 needs none.</noscript>
</body>
</html>
`
}

const toBrotli = promisify(brotliCompress)
const toGzip = promisify(gzip)

function toAsset (bytes: Buffer, type: string): Asset {
  const made = new Map<Encoding, Promise<Buffer>>([['identity', Promise.resolve(bytes)]])
  const make = (encoding: Encoding): Promise<Buffer> => encoding === 'br'
    ? toBrotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })
    : toGzip(bytes)
  return {
    type,
    etag: `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    as (encoding) {
      const found = made.get(encoding) ?? make(encoding)
      made.set(encoding, found)
      return found
    },
  }
}
