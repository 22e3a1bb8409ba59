import { escapeControls } from '../spl/errors.js'

/** Text of events may hold anything; a terminal must not act on it. Line breaks stay, as lines of their own. */
export function toLines (text: string): string[] {
  return text.split('\n').map(escapeControls)
}

/** Rows under their headings, for a terminal. A cell may have several lines; longer ones are cut to `width` characters. */
export function formatTable (headings: readonly string[], rows: readonly (readonly string[])[], width = 72): string {
  const cells = [headings, ...rows].map(row => row.map(cell => toLines(cell).map(line => line.length > width ? `${line.slice(0, width - 1)}…` : line)))
  const widths = headings.map((_, column) => Math.max(...cells.flatMap(row => row[column]!.map(line => line.length))))
  const rule = widths.map(count => '─'.repeat(count)).join('  ')
  const printed = cells.map(row => {
    const height = Math.max(...row.map(lines => lines.length))
    return Array.from({ length: height }, (_, line) => row.map((lines, column) => (lines[line] ?? '').padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
  })
  return [printed[0], rule, ...printed.slice(1)].join('\n')
}
