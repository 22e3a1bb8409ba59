import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Config } from '../config.js'
import { flagOf, loadConfig, SCALAR_KEYS } from '../config.js'
import { systemClock } from '../schedule/loop.js'
import type { FirstSecrets } from '../server.js'
import { openServer } from '../server.js'
import type { CommandContext, Output } from './command.js'
import { aborted, UsageError } from './command.js'
import { CONFIG_OPTIONS, parseOptions, toSource } from './options.js'

export const usage = `hecate serve [--config FILE] [--KEY VALUE …]

  Takes HEC requests, runs detections, serves the API. Settings come from flags, then the
  environment, then the file, then the defaults (docs/config.md):

${SCALAR_KEYS.map(key => `  --${flagOf(key).padEnd(24)} HECATE_${key.replaceAll('.', '_').toUpperCase()}`).join('\n')}
`

/** Serves until the process is told to stop; reads its certificate again whenever told to. */
export async function serve (context: CommandContext): Promise<number> {
  const { stdout, signal, onReload, version } = context
  const { values, positionals } = parseOptions(context.args, CONFIG_OPTIONS)
  if (positionals.length > 0) throw new UsageError('hecate serve takes flags only')
  const config = loadConfig(toSource(values, context))
  const log = pino({ level: 'info' })
  const opening = openServer(config, { clock: systemClock, log, version })
  onReload(() => opening.then(({ reload }) => reload(), () => {})) // a server that could not be opened is reported below
  const server = await opening
  try {
    const { url, firstSecrets } = await server.start()
    showFirstSecrets(firstSecrets, config, url, stdout, path => log.info({ path }, 'first token and key are in this file'))
    log.info({ url, data_dir: config.data.dir, version }, 'serving')
    await aborted(signal)
    log.info('shutting down')
  } finally {
    await server.close()
  }
  return 0
}

/** On a terminal they are shown once; elsewhere what is printed ends up in somebody's log, so they go into a file that only the owner reads. */
function showFirstSecrets ({ token, key }: FirstSecrets, config: Config, url: string, stdout: Output, logPath: (path: string) => void): void {
  const lines: string[] = []
  if (token !== null) {
    lines.push(`HEC token  ${token}`, `Try it     curl ${url}/services/collector/event -H 'Authorization: Splunk ${token}' -d '{"event":"hello"}'`)
  }
  if (key !== null) {
    lines.push(`API key    ${key}  (role admin)`, `Try it     curl ${url}/api/v1/events -H 'Authorization: Bearer ${key}'`)
  }
  if (lines.length === 0) return
  const text = `${lines.join('\n')}\n`
  if (stdout.isTTY) stdout.write(`\nHecate was started for the first time. These are shown once:\n\n${text}\n`)
  else {
    const path = join(config.data.dir, 'first-start')
    writeFileSync(path, text, { mode: 0o600, flag: 'w' })
    logPath(path)
  }
}
