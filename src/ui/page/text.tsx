/** Text of events: whoever can start a process on a node can write it. It becomes text nodes and nothing else. */

/** Controls, format characters such as those that turn the direction of writing, and spaces that look like others or like nothing. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0\u115f\u1160\u3164\uffa0]|[\ufe00-\ufe0f]/u
const PARTS = new RegExp(`(${UNSEEN.source})`, 'u')

/** Names that say more than a number. */
const NAMES: Readonly<Record<string, string>> = { '\n': '⏎', '\r': '␍', '\t': '⇥', '\0': '␀', '\u001b': '␛' }

/** Text with what can't be seen made visible: a command line that looks harmless says what it is. `lines` keeps line breaks. */
export function Visible ({ text, lines = false }: { text: string, lines?: boolean }) {
  if (!UNSEEN.test(text)) return <bdi>{text}</bdi>
  return (
    <bdi>
      {text.split(PARTS).map((part, n) => n % 2 === 0 || (lines && part === '\n')
        ? part
        : <span key={n} class='unseen' title={nameOf(part)}>{NAMES[part] ?? nameOf(part)}</span>)}
    </bdi>
  )
}

function nameOf (character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
}

/** `1 finding`, `2 findings`. */
export function countOf (count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

/** `in_progress` as people write it. */
export function words (name: string): string {
  return name.replaceAll('_', ' ')
}

/** A score or a rate, to at most two decimals. */
export function numberText (value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2 })
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `1.5 GB`: of a thousand each, as sizes in the configuration are. */
export function bytesText (bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${numberText(bytes / 1000 ** power)} ${BYTE_UNITS[power]}`
}
