import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { buildSlack } from '../../src/notify/slack.js'
import { toTestMessage } from '../../src/notify/message.js'
import { openReceiver, RULE, tellingApp } from '../fixtures/receiver.js'
import { get, runAt, sendTools } from '../fixtures/rules.js'

interface Text { readonly type: 'plain_text', readonly text: string, readonly emoji: boolean }
interface Block { readonly type: string, readonly text?: Text, readonly fields?: Text[], readonly elements?: Text[] }
interface Body { readonly text: string, readonly link_names: boolean, readonly blocks: Block[] }

t.test('Slack gets a message of blocks, which says what was found, of whom, when and how bad', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'chat', type: 'slack', url }])
  await sendTools(server)
  await runAt(server, RULE)

  await server.tell('chat')

  const [{ id }] = (await get(server, 'findings?earliest=0')).items as [Finding]
  const plain = (text: string) => ({ type: 'plain_text', text, emoji: false })
  t.match(received, [{ url: '/hook', headers: { 'content-type': 'application/json' } }])
  t.strictSame(JSON.parse(received[0]!.body), {
    text: '`high 72 · A rule · root ran [mount nsenter] in web-1`',
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain('high 72 · A rule') },
      { type: 'section', text: plain('root ran [mount\nnsenter] in web-1') },
      { type: 'section', fields: [plain('pod: web-1 (72)'), plain('user: root (72)')] },
      { type: 'context', elements: [plain(`2026-03-10T12:00:00.000Z · T1611 · finding ${id}`)] },
    ],
  })
})

/** What Slack is sent of a finding that says that, everywhere. */
function bodyOf (text: string, objects = 1): Body {
  const { finding, ...message } = toTestMessage('id', 0)
  const object = { field: text, type: 'system', value: text, score: 1 }
  const hostile: Finding = { ...finding, detection: { ...finding.detection, name: text }, risk: { ...finding.risk, message: text, objects: Array.from({ length: objects }, () => object) }, mitre_attack: [text] }
  return JSON.parse(buildSlack({ ...message, what: 'revised', finding: hostile }, 0)!.body) as Body
}

const textsOf = ({ blocks }: Body) => blocks.flatMap(({ text, fields = [], elements = [] }) => [...text === undefined ? [] : [text], ...fields, ...elements])

const TRICKS = ['<!channel>', '<!here|x>', '<@U012>', '<#C012>', '<https://evil.example|good>', '@here', '@channel', '@everyone', 'https://evil.example', 'HTTP://evil.example', 'www.evil.example', '&lt;!channel&gt;', '`', '```', '*', '_', '~', '\n', '\u202e', '\u200b', '\0', '\ud800', ':tada:', '😀']

t.test('text of an event can make no mention, link or markup, and no text is longer than Slack takes', async t => {
  const trick = fc.oneof(fc.constantFrom(...TRICKS), fc.string({ unit: 'binary' }))
  fc.assert(fc.property(fc.array(trick, { maxLength: 40 }).map(parts => parts.join('')), fc.integer({ min: 0, max: 30 }), (text, objects) => {
    const body = bodyOf(text, objects)
    const texts = textsOf(body)
    for (const one of texts) {
      if (one.type !== 'plain_text' || one.emoji || one.text === '') throw new Error(JSON.stringify(one))
    }
    for (const one of [body.text, ...texts.map(({ text }) => text)]) {
      if (/[<>]|&(?!(?:amp|lt|gt);)|@(?!\u2060)|:\/\/|www\.(?!\u2060)|(?![\n\u2060])\p{C}/iu.test(one)) throw new Error(JSON.stringify(one))
    }
    if (!/^`[^`\n]*`$/.test(body.text)) throw new Error(body.text)
    if (body.blocks.some(({ fields = [], elements = [], text }) => fields.length > 10 || fields.some(one => one.text.length > 2_000) || elements.length > 10 || (text?.text.length ?? 0) > 3_000)) throw new Error('too much')
    if (body.blocks[0]!.text!.text.length > 150) throw new Error('a long header')
  }), { numRuns: 300 })
  t.match(textsOf(bodyOf('<!channel> & @here')).map(({ text }) => text), ['Revised: informational 0 · &lt;!channel&gt; &amp; @\u2060here'])
})

t.test('long texts are cut, and risk objects that have no place are counted', async t => {
  const { text, blocks } = bodyOf('a'.repeat(5_000), 12)

  t.strictSame([text.length, text.at(-2)], [1_002, '…'])
  t.strictSame(blocks.map(({ text }) => text?.text.length), [150, 3_000, undefined, undefined])
  t.equal(blocks[2]!.fields!.length, 10)
  t.match(blocks[3]!.elements![0]!.text, /^2 more risk objects · /)
})
