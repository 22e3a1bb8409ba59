/**
 * A line of CSV (RFC 4180). Text that a spreadsheet would take for a formula has an apostrophe before it: cells may come from anybody. So has what would begin
 * one where semicolons, tabs or lines part the cells (OWASP, CSV Injection).
 */
export function toCsvLine (cells: readonly (string | number | boolean | null)[]): string {
  return `${cells.map(toCell).join(',')}\r\n`
}

const FORMULA = /(?<=^|[;\t\r\n])[ "]*(?=[=+\-@\t\r\n＝＋－＠])/g

function toCell (value: string | number | boolean | null): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value.replace(FORMULA, "$&'") : String(value)
  return /[",;\r\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
