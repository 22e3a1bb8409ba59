import type { Finding } from '../finding.js'
import { escapeControls } from '../spl/errors.js'
import type { BuildRequest, Message } from './message.js'

/** The longest texts that Slack takes (docs.slack.dev, Block Kit reference: header, section, its fields, context); `text` is for notifications, and may be longer. */
const MAX_HEADER_CHARS = 150
const MAX_SECTION_CHARS = 3_000
const MAX_FIELD_CHARS = 200
const MAX_FIELDS = 10
const MAX_TEXT_CHARS = 1_000

const PREFIX: Readonly<Record<Message['what'], string>> = { created: '', revised: 'Revised: ', gone: 'Gone: ', test: 'Test: ' }

/**
 * A finding as a message of a Slack-compatible incoming webhook. What it says is the text of attackers: it is in blocks of plain text, in which Slack finds no markup, and in `text`, for servers that know no blocks,
 * in one span of code.
 */
export const buildSlack: BuildRequest = ({ what, finding }) => {
  const { detection, risk, severity } = finding
  const title = `${PREFIX[what]}${severity} ${risk.score} · ${detection.name}`
  const objects = risk.objects.slice(0, MAX_FIELDS)
  const left = risk.objects.length - objects.length
  const body = {
    text: `\`${toHarmless(`${title}${risk.message === null ? '' : ` · ${risk.message}`}`.replace(/\s+/g, ' ').replaceAll('`', "'"), MAX_TEXT_CHARS)}\``,
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain(title, MAX_HEADER_CHARS) },
      ...risk.message === null || risk.message === '' ? [] : [{ type: 'section', text: plain(risk.message, MAX_SECTION_CHARS) }],
      ...objects.length === 0 ? [] : [{ type: 'section', fields: objects.map(({ field, value, score }) => plain(`${field}: ${value} (${score})`, MAX_FIELD_CHARS)) }],
      { type: 'context', elements: [plain([...left > 0 ? [`${left} more risk objects`] : [], ...notes(finding)].join(' · '), MAX_SECTION_CHARS)] },
    ],
  }
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

function notes ({ id, time, revision, mitre_attack: techniques, change }: Finding): string[] {
  return [new Date(time * 1000).toISOString(), ...techniques, `finding ${id}`, ...change === null ? [] : [`revision ${revision}: ${change.text}`]]
}

function plain (text: string, maxChars: number) {
  return { type: 'plain_text', text: toHarmless(text, maxChars), emoji: false }
}

/** Joins words without being seen, so that no client finds a mention or a link in them. */
const WORD_JOINER = '\u2060'

/** What a character, or a few, becomes: `&`, `<` and `>` as Slack asks (docs.slack.dev, "Formatting message text": escaping text). */
const HARMLESS: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '@': `@${WORD_JOINER}`, '://': `:${WORD_JOINER}//`, 'www.': `www.${WORD_JOINER}`, '\n': '\n' }

/** As much of a text as has no more than `maxChars` once no mention, link, markup or invisible character is left in it. */
function toHarmless (text: string, maxChars: number): string {
  let harmless = ''
  for (const [piece] of text.slice(0, maxChars).matchAll(/:\/\/|www\.|./gisu)) {
    const next = HARMLESS[piece.toLowerCase()] ?? escapeControls(piece)
    if (harmless.length + next.length >= maxChars) return `${harmless}…`
    harmless += next
  }
  return harmless
}
