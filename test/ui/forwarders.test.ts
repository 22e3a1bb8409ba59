import { readFileSync } from 'node:fs'
import t from 'tap'
import { resourcePath } from '../../src/resource.js'
import type { Receiver } from '../../src/ui/page/forwarders.js'
import { FORWARDERS } from '../../src/ui/page/forwarders.js'

const textsOf = (receiver: Receiver) => FORWARDERS.flatMap(({ id, snippets }) => snippets(receiver).map(({ text }) => ({ id, text })))

t.test('what forwarders are set up with is what the README has', async t => {
  const readme = readFileSync(resourcePath('README.md'), 'utf8')
  const texts = textsOf({ origin: 'http://hecate.example.com:8088', secret: null }).filter(({ id }) => id !== 'curl')
  t.equal(texts.length, 4)
  for (const { id, text } of texts) t.ok(readme.includes(`\n${text}\n\`\`\``), id)
})

t.test('the server’s own address is filled in, with TLS where it has that, and a secret where it is known', async t => {
  const texts = textsOf({ origin: 'https://siem.example.org', secret: '5f0c-x' })
  for (const { id, text } of texts.filter(({ text }) => /HEC|Host|hec_host|endpoint|curl/.test(text))) {
    t.match(text, 'siem.example.org', id)
    t.match(text, '5f0c-x', id)
    t.notMatch(text, 'HEC_TOKEN', id)
  }
  t.match(texts.find(({ id }) => id === 'fluent-bit')!.text, /Port +443\n +TLS +On/)
  t.match(texts.find(({ id }) => id === 'fluentd')!.text, /protocol https\n.*\n +hec_port 443/)
})

t.test('a secret that one of them would have to quote is not filled in', async t => {
  for (const secret of ['a"b', "it's", 'a b', '$x', 'a\nb', '#{x}']) {
    for (const { id, text } of textsOf({ origin: 'http://h:1', secret })) t.notOk(text.includes(secret), `${id}: ${secret}`)
  }
})
