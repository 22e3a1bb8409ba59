import { resolve } from 'node:path'
import { loadConfig } from '../config.js'
import type { ActiveDetection } from '../detect/active.js'
import type { TestOutcome, TestRunDeps } from '../detect/test-run.js'
import { runTest } from '../detect/test-run.js'
import type { ReadTest } from '../detect/tests.js'
import { buildFieldTables } from '../fields/field-tables.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { byFile, openActivation, readContent } from './detections.js'
import { CONFIG_OPTIONS, parseOptions, toSource } from './options.js'
import type { TestedDetection, TestedTest } from './test-report.js'
import { REPORTS } from './test-report.js'

export const usage = `hecate test [PATH…] [--config FILE] [--format text|junit|json|tap]

  Runs the tests inside detection files: each stores its logs in an empty event store, runs the search
  over them and compares the rows with the expected ones. With PATHs these detections are tested in
  place of the configuration's. Logs behind a URL are not fetched, their tests count as not run. Exit
  code 1 when a test fails or a detection can't be loaded.
`

export async function test (context: CommandContext): Promise<number> {
  const { values, positionals: paths } = parseOptions(context.args, { ...CONFIG_OPTIONS, format: { type: 'string' } })
  const format = typeof values.format === 'string' ? values.format : 'text'
  if (!Object.hasOwn(REPORTS, format)) throw new UsageError('--format is text, junit, json or tap')
  const config = loadConfig(toSource(values, context))
  const content = readContent(config, paths.map(path => resolve(context.cwd, path)))
  const fieldTables = buildFieldTables(config)
  const activate = openActivation(config, content, fieldTables)
  const deps: TestRunDeps = { indexes: config.indexes, maxEventBytes: config.hec.max_event_bytes, fieldTables, now: Date.now, signal: context.signal }
  const tested: TestedDetection[] = []
  for (const one of [...content.detections].sort(byFile)) {
    tested.push(await testDetection(activate(one), one.tests, deps))
  }
  context.stdout.write(REPORTS[format as keyof typeof REPORTS](tested))
  return tested.some(({ errors, tests }) => errors.length > 0 || tests.some(({ status }) => status === 'failed')) ? 1 : 0
}

/** One after the other: a store without threads would hold up the others anyway. */
async function testDetection ({ id, file, compiled, errors }: ActiveDetection, tests: readonly ReadTest[], deps: TestRunDeps): Promise<TestedDetection> {
  const tested: TestedTest[] = []
  if (compiled !== null && errors.length === 0) {
    for (const one of tests) {
      const start = performance.now()
      const outcome: TestOutcome = one.test === null
        ? { status: 'failed', reasons: [one.problem], warnings: [], events: null, rows: null }
        : await runTest(compiled, one.test, file, deps)
      tested.push({ name: one.test === null ? one.name : one.test.name, ...outcome, duration_ms: Math.round(performance.now() - start) })
    }
  }
  return { id, file, errors, tests: tested }
}
