/** One figure over time, in a part of the plot of its own. */
export interface Panel {
  /** With its unit: "resident memory, MB". */
  readonly title: string
  readonly color: string
  /** Null where there is none: the line has a gap. */
  readonly values: readonly (number | null)[]
  /** A dashed line with its name. */
  readonly goal?: { readonly value: number, readonly name: string }
}

export interface Plot {
  readonly title: string
  readonly subtitle: string
  /** When the panels' values are of, from the start; rising. */
  readonly seconds: readonly number[]
  readonly panels: readonly Panel[]
}

const WIDTH = 860
const LEFT = 78
const RIGHT = 22
/** Of the first panel: title, subtitle and its own title are above it. */
const TOP = 86
const PANEL_HEIGHT = 120
/** Between panels, with the title of the lower one. */
const GAP = 46
/** Below the last panel: the axis of time. */
const BOTTOM = 52

const INK = '#1f2430'
const FAINT = '#5c6470'
const GRID = '#e3e6ea'

/** Longer runs have their time in minutes. */
const MAX_SECONDS = 180

/** The panels one below the other over one axis of time, as an SVG document on white: it is the same on a dark page. */
export function drawPlot ({ title, subtitle, seconds, panels }: Plot): string {
  const topOf = (panel: number) => TOP + panel * (PANEL_HEIGHT + GAP)
  const bottom = topOf(panels.length) - GAP
  const height = bottom + BOTTOM
  const perUnit = (seconds.at(-1) ?? 0) > MAX_SECONDS ? 60 : 1
  const times = seconds.map(second => second / perUnit)
  const endTime = Math.max(times.at(-1) ?? 0, 1)
  const x = (time: number) => LEFT + time / endTime * (WIDTH - LEFT - RIGHT)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 24, title, `fill="${INK}" font-size="17" font-weight="600"`),
    text(LEFT, 43, subtitle, `fill="${FAINT}" font-size="12"`),
    ...panels.flatMap((panel, i) => drawPanel(panel, topOf(i), { times, x, endTime })),
    ...ticksTo(endTime).map(time => text(x(time), bottom + 20, format(time), `fill="${FAINT}" text-anchor="middle"`)),
    text((LEFT + WIDTH - RIGHT) / 2, bottom + 40, perUnit === 60 ? 'time, minutes' : 'time, seconds', `fill="${INK}" text-anchor="middle"`),
    '</svg>',
    '',
  ].join('\n')
}

interface TimeAxis { readonly times: readonly number[], readonly x: (time: number) => number, readonly endTime: number }

function drawPanel ({ title, color, values, goal }: Panel, top: number, { times, x, endTime }: TimeAxis): string[] {
  const largest = Math.max(goal?.value ?? 0, ...values.map(value => value ?? 0)) || 1
  const ticks = ticksTo(largest)
  const limit = ticks.at(-1)! >= largest ? ticks.at(-1)! : 2 * ticks.at(-1)! - ticks.at(-2)!
  const y = (value: number) => top + PANEL_HEIGHT * (1 - value / limit)
  const line = (value: number, style: string) => `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${place(y(value))}" y2="${place(y(value))}" ${style}/>`
  return [
    text(LEFT, top - 9, title, `fill="${INK}" font-weight="600"`),
    ...[...ticks, ...limit === ticks.at(-1) ? [] : [limit]].flatMap(tick => [
      line(tick, `stroke="${tick === 0 ? FAINT : GRID}"`), text(LEFT - 8, y(tick) + 4, format(tick), `fill="${FAINT}" text-anchor="end"`),
    ]),
    ...ticksTo(endTime).map(time => `<line x1="${place(x(time))}" x2="${place(x(time))}" y1="${top + PANEL_HEIGHT}" y2="${top + PANEL_HEIGHT + 4}" stroke="${FAINT}"/>`),
    ...goal === undefined ? [] : [line(goal.value, `stroke="${FAINT}" stroke-dasharray="5 4"`)],
    ...goal === undefined ? [] : [text(WIDTH - RIGHT, y(goal.value) - 5, goal.name, `fill="${FAINT}" text-anchor="end" font-size="12"`)],
    `<path d="${toPath(values, (value, i) => `${place(x(times[i]!))} ${place(y(value))}`)}" fill="none" stroke="${color}" stroke-width="1.6" stroke-linejoin="round" stroke-linecap="round"/>`,
  ]
}

/** Lines from value to value; behind a gap a new one begins. */
function toPath (values: readonly (number | null)[], toPoint: (value: number, i: number) => string): string {
  return values.map((value, i) => value === null ? '' : `${i > 0 && values[i - 1] != null ? 'L' : 'M'}${toPoint(value, i)}`).filter(part => part !== '').join(' ')
}

/** Round numbers from 0 to at most `largest`, about five. */
function ticksTo (largest: number): number[] {
  const rough = Math.max(largest, 1e-9) / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].find(factor => factor * power >= rough)! * power
  return Array.from({ length: Math.floor(largest / step + 1e-9) + 1 }, (_, i) => i * step)
}

function format (value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 3 })
}

function place (pixels: number): string {
  return String(Math.round(pixels * 10) / 10)
}

function text (x: number, y: number, content: string, style: string): string {
  return `<text x="${place(x)}" y="${place(y)}" ${style}>${escape(content)}</text>`
}

function escape (content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
