import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import { usePreferences } from '../preferences.js'

export interface Series {
  readonly label: string
  readonly values: readonly (number | null)[]
  /** Name of a custom property of assets/style.css, such as `--accent`. */
  readonly color: string
  readonly kind: 'line' | 'bars' | 'steps'
}

export interface ChartProps {
  /** The chart in a sentence, for those who don't see it. */
  readonly label: string
  /** Epoch seconds, ascending. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly height?: number
  /** Epoch seconds of what was dragged over; a click on a bar is its own stretch. */
  readonly onSelect?: (fromSeconds: number, toSeconds: number) => void
}

/** Values over time. */
export function Chart ({ label, times, series, height = 180, onSelect }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const { shownTheme, zone } = usePreferences()
  useEffect(() => {
    const element = box.current
    if (element === null) return
    const style = getComputedStyle(element)
    const colorOf = (name: string) => style.getPropertyValue(name).trim()
    const axis = {
      stroke: colorOf('--muted'),
      font: `11px ${style.fontFamily}`,
      grid: { stroke: colorOf('--line'), width: 1 },
      ticks: { show: false },
    }
    // A bar stands to the right of its time: the last one needs room.
    const barSeconds = times.length > 1 && series.some(({ kind }) => kind === 'bars') ? times[1]! - times[0]! : 0
    const plot = new UPlot({
      width: Math.max(element.clientWidth, 50),
      height,
      tzDate: seconds => zone === 'utc' ? UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000),
      cursor: { drag: { x: onSelect !== undefined, y: false, setScale: false }, points: { show: false } },
      legend: { show: series.length > 1, live: false },
      scales: {
        x: { range: (_plot, min, max) => [min, max + barSeconds] },
        y: { range: (_plot, _min, max) => [0, Math.max(max * 1.05, 1)] },
      },
      axes: [{ ...axis, values: axisTimes(zone) }, { ...axis, size: 44, space: 20 }],
      series: [{}, ...series.map(({ label: name, color, kind }): UPlot.Series => ({
        label: name,
        stroke: colorOf(color),
        width: kind === 'bars' ? 0 : 2,
        points: { show: false },
        ...kind === 'bars' ? { fill: colorOf(color), paths: UPlot.paths.bars!({ size: [0.9, 60], align: 1 }) } : {},
        ...kind === 'steps' ? { paths: UPlot.paths.stepped!({ align: 1 }) } : {},
      }))],
      hooks: onSelect === undefined
        ? {}
        : {
            setSelect: [(chart: UPlot) => {
              if (chart.select.width > 4) onSelect(chart.posToVal(chart.select.left, 'x'), chart.posToVal(chart.select.left + chart.select.width, 'x'))
            }],
          },
    }, [[...times], ...series.map(({ values }) => [...values])], element)
    if (onSelect !== undefined && barSeconds > 0) {
      plot.over.addEventListener('click', () => {
        const at = times[Math.floor((plot.posToVal(plot.cursor.left ?? -1, 'x') - times[0]!) / barSeconds)]
        if (plot.select.width <= 4 && at !== undefined) onSelect(at, at + barSeconds)
      })
    }
    const observer = new ResizeObserver(() => { if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height }) })
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.destroy()
    }
  }, [times, series, height, shownTheme, zone, onSelect])
  return <div ref={box} class='chart' role='img' aria-label={label} style={{ minHeight: `${height}px` }} />
}

/** Hours on a day, days beyond; the date where it changes. */
function axisTimes (zone: 'utc' | 'local'): (plot: UPlot, splits: number[]) => string[] {
  return (_plot, splits) => {
    let day = ''
    const isDays = splits.length > 1 && splits[1]! - splits[0]! >= 86_400
    return splits.map(seconds => {
      const shifted = zone === 'utc' ? seconds * 1000 : seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60_000
      const text = new Date(shifted).toISOString()
      const date = text.slice(5, 10)
      const isNew = date !== day
      day = date
      return isDays ? date : isNew ? `${text.slice(11, 16)}\n${date}` : text.slice(11, 16)
    })
  }
}
