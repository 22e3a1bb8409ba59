import { stringify } from 'yaml'
import type { Problem } from '../detect/place.js'
import type { TestOutcome } from '../detect/test-run.js'
import { formatJson } from './json.js'
import { toLines } from './table.js'

export interface TestedTest extends TestOutcome { readonly name: string, readonly duration_ms: number }

/** A detection with what its tests gave: none where it has none, or can't be loaded and has errors. */
export interface TestedDetection {
  readonly id: string
  readonly file: string
  readonly errors: readonly Problem[]
  readonly tests: readonly TestedTest[]
}

type Report = (tested: readonly TestedDetection[]) => string

/** How tests are reported. All text of files and events is fit for a terminal. */
export const REPORTS: Readonly<Record<'text' | 'junit' | 'json' | 'tap', Report>> = { text: formatText, junit: formatJunit, json: formatJsonReport, tap: formatTap }

/** One line of a report: a test, or a detection that has none or can't be loaded. */
interface Case {
  readonly detection: TestedDetection
  readonly name: string
  readonly status: 'passed' | 'failed' | 'not_run'
  readonly lines: readonly string[]
  readonly durationMs: number
}

const NO_TESTS = 'no tests'
const NOT_LOADED = 'the detection can not be loaded'

function casesOf (detection: TestedDetection): Case[] {
  const { errors, tests } = detection
  const add = (name: string, status: Case['status'], lines: readonly string[], durationMs = 0): Case => ({ detection, name: one(name), status, lines: lines.flatMap(toLines), durationMs })
  if (errors.length > 0) return [add(NOT_LOADED, 'failed', errors.map(({ line, column, message, detail = message }) => `${line}:${column}: ${detail}`))]
  if (tests.length === 0) return [add(NO_TESTS, 'not_run', [NO_TESTS])]
  return tests.map(({ name, status, reasons, warnings, duration_ms: durationMs }) => add(name, status, [...reasons, ...warnings.map(text => `warning: ${text}`)], durationMs))
}

/** On one line. */
function one (text: string): string {
  return toLines(text).join(' ')
}

function summaryOf (tested: readonly TestedDetection[]) {
  const tests = tested.flatMap(detection => detection.tests)
  const count = (status: TestOutcome['status']) => tests.filter(one => one.status === status).length
  return {
    passed: count('passed'),
    failed: count('failed'),
    not_run: count('not_run'),
    detections_without_tests: tested.filter(({ errors, tests }) => errors.length === 0 && tests.length === 0).length,
    detections_not_loaded: tested.filter(({ errors }) => errors.length > 0).length,
  }
}

function formatText (tested: readonly TestedDetection[]): string {
  const blocks = tested.flatMap(casesOf).map(({ detection, name, status, lines, durationMs }) => {
    if (name === NO_TESTS && status === 'not_run') return `no tests  ${one(detection.id)}\n`
    const took = status === 'not_run' || name === NOT_LOADED ? '' : ` (${durationMs} ms)`
    return `${status.replace('_', ' ').padEnd(8)}  ${one(detection.id)}: ${name}${took}\n${name === NOT_LOADED ? `    ${one(detection.file)}\n` : ''}${lines.map(line => `    ${line}\n`).join('')}`
  })
  const { passed, failed, not_run: notRun, detections_without_tests: without, detections_not_loaded: notLoaded } = summaryOf(tested)
  return `${blocks.join('')}\ntests: ${passed} passed, ${failed} failed, ${notRun} not run; detections: ${without} without tests, ${notLoaded} not loaded\n`
}

function formatJsonReport (tested: readonly TestedDetection[]): string {
  return formatJson({
    detections: tested.map(({ id, file, errors, tests }) => ({
      id, file,
      errors: errors.map(({ line, column, message, detail = message }) => ({ line, column, message: detail })),
      tests: tests.map(({ name, status, duration_ms, events, rows, reasons, warnings }) => ({ name, status, duration_ms, events, rows, reasons, warnings })),
    })),
    summary: summaryOf(tested),
  })
}

/** The form that CI systems read: Jenkins' and GitLab's schema of JUnit. Control characters are gone before, so XML 1.0 can hold all of it. */
function formatJunit (tested: readonly TestedDetection[]): string {
  const suites = tested.map(detection => {
    const cases = casesOf(detection)
    const seconds = (ms: number) => (ms / 1000).toFixed(3)
    const texts = cases.map(({ name, status, lines, durationMs }) => {
      const head = `    <testcase name="${xml(name)}" classname="${xml(one(detection.id))}" file="${xml(one(detection.file))}" time="${seconds(durationMs)}"`
      if (status === 'passed') return `${head}/>\n`
      const body = status === 'failed'
        ? `<failure message="${xml(lines[0] ?? '')}">${xml(lines.join('\n'))}</failure>`
        : `<skipped message="${xml(lines[0] ?? '')}"/>`
      return `${head}>\n      ${body}\n    </testcase>\n`
    })
    return `  <testsuite name="${xml(one(detection.id))}" ${counts(cases)} time="${seconds(cases.reduce((sum, { durationMs }) => sum + durationMs, 0))}">\n${texts.join('')}  </testsuite>\n`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="hecate test" ${counts(tested.flatMap(casesOf))}>\n${suites.join('')}</testsuites>\n`
}

function counts (cases: readonly Case[]): string {
  const count = (status: Case['status']) => cases.filter(one => one.status === status).length
  return `tests="${cases.length}" failures="${count('failed')}" errors="0" skipped="${count('not_run')}"`
}

function xml (text: string): string {
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
  return text.replace(/[&<>"']/g, char => named[char]!)
}

/** TAP 14, with the lines of a failure as its diagnostics. */
function formatTap (tested: readonly TestedDetection[]): string {
  const cases = tested.flatMap(casesOf)
  const escape = (text: string) => text.replace(/[\\#]/g, char => `\\${char}`)
  const points = cases.map(({ detection, name, status, lines, durationMs }, i) => {
    const point = `${status === 'failed' ? 'not ok' : 'ok'} ${i + 1} - ${escape(`${one(detection.id)}: ${name}`)}`
    if (status === 'not_run') return `${point} # SKIP ${escape(lines[0] ?? '')}\n`
    const diagnostics = { duration_ms: durationMs, ...(status === 'failed' ? { file: one(detection.file), message: lines.join('\n') } : {}) }
    return `${point}\n  ---\n${stringify(diagnostics, { lineWidth: 0 }).trimEnd().split('\n').map(line => `  ${line}\n`).join('')}  ...\n`
  })
  return `TAP version 14\n1..${cases.length}\n${points.join('')}`
}
