/** JSON for people and scripts alike: indented, and fit for a terminal. */
export function formatJson (value: unknown): string {
  return `${escapeJson(JSON.stringify(value, null, 2))}\n`
}

/** The same JSON, in which nothing acts on a terminal, since events and files may hold anything: invisible characters are escaped. */
export function escapeJson (json: string): string {
  return json.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, char => char.split('').map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''))
}
