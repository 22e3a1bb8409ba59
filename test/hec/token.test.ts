import t from 'tap'
import { DISABLED_QUERY_TOKEN, DISABLED_TOKEN, OTHER_TOKEN, QUERY_TOKEN, post, storedEvents, testApp, TOKEN } from '../fixtures/app.js'

const base64 = (text: string) => Buffer.from(text).toString('base64')

const SUCCESS = [200, '{"text":"Success","code":0}'] as const
const DISABLED = [403, '{"text":"Token disabled","code":1}'] as const
const REQUIRED = [401, '{"text":"Token is required","code":2}'] as const
const MALFORMED = [401, '{"text":"Invalid authorization","code":3}'] as const
const UNKNOWN = [403, '{"text":"Invalid token","code":4}'] as const
const QUERY = [400, '{"text":"Query string authorization is not enabled","code":16}'] as const

type Case = readonly [name: string, authorization: string | undefined, reply: readonly [status: number, body: string], query?: string]

/** hec.md section 2. */
const CASES: readonly Case[] = [
  ['a known token', `Splunk ${TOKEN}`, SUCCESS],
  ['the scheme in any case', `sPLUNK ${TOKEN}`, SUCCESS],
  ['spaces around the token', ` Splunk   ${TOKEN} `, SUCCESS],
  ['Basic with the token as the password', `Basic ${base64(`x:${TOKEN}`)}`, SUCCESS],
  ['Basic without a user', `Basic ${base64(`:${TOKEN}`)}`, SUCCESS],
  ['no header', undefined, REQUIRED],
  ['an empty header', '', REQUIRED],
  ['Splunk without a token', 'Splunk', REQUIRED],
  ['Splunk with an empty token', 'Splunk  ', REQUIRED],
  ['Bearer', `Bearer ${TOKEN}`, MALFORMED],
  ['a bare token', TOKEN, MALFORMED],
  ['more than a token', `Splunk ${TOKEN} ${TOKEN}`, MALFORMED],
  ['Basic without a password', `Basic ${base64(TOKEN)}`, MALFORMED],
  ['Basic with an empty password', `Basic ${base64('x:')}`, MALFORMED],
  ['Basic without anything', 'Basic', MALFORMED],
  ['Basic that is no base64', 'Basic \u00a7\u00a7', MALFORMED],
  ['an unknown token', 'Splunk 00000000-0000-4000-8000-00000000000f', UNKNOWN],
  ['a token that is no GUID', 'Splunk invalid-token', UNKNOWN],
  ['a token in other letters', `Splunk ${TOKEN.replace(/.$/, 'f')}`, UNKNOWN],
  ['Basic with the token as the user', `Basic ${base64(`${TOKEN}:x`)}`, UNKNOWN],
  ['Basic with a colon behind the token', `Basic ${base64(`x:${TOKEN}:`)}`, UNKNOWN],
  ['a disabled token', `Splunk ${DISABLED_TOKEN}`, DISABLED],
  ['a token in the query', undefined, QUERY, `token=${TOKEN}`],
  ['a token in the query beside a good header', `Splunk ${TOKEN}`, QUERY, `token=${TOKEN}`],
  ['an unknown token in the query', undefined, QUERY, 'token=nope'],
  ['an empty token in the query', `Splunk ${TOKEN}`, QUERY, 'token='],
  ['a token in the query that may be there', undefined, SUCCESS, `token=${QUERY_TOKEN}`],
  ['such a token in the header', `Splunk ${QUERY_TOKEN}`, SUCCESS],
  ['such a token in the query beside a bad header', 'Splunk nope', SUCCESS, `token=${QUERY_TOKEN}`],
  ['a disabled token in the query', undefined, QUERY, `token=${DISABLED_TOKEN}`],
  ['a disabled token that may be in the query', undefined, DISABLED, `token=${DISABLED_QUERY_TOKEN}`],
  ['two tokens in the query', `Splunk ${TOKEN}`, QUERY, 'token=a&token=b'],
]

t.test('a request is let in or refused by its token', async t => {
  const it = await testApp(t)
  let stored = 0
  for (const [name, authorization, [statusCode, body], query = ''] of CASES) {
    const reply = await it.app.inject({
      method: 'POST',
      url: `/services/collector/event?${query}`,
      headers: authorization === undefined ? {} : { authorization },
      payload: '{"event":"a"}',
    })
    t.match(reply, { statusCode, body }, name)
    if (statusCode === 200) stored++
  }
  t.equal((await storedEvents(it)).length, stored)
  t.equal(it.budget.bytes, 0)
})

t.test('the token is looked at before the body', async t => {
  const { app } = await testApp(t)
  for (const payload of ['', '{"broken', '{"time":1}']) {
    const reply = await app.inject({ method: 'POST', url: '/services/collector', headers: { authorization: 'Splunk nope' }, payload })
    t.match(reply, { statusCode: 403, body: UNKNOWN[1] }, `a body of ${JSON.stringify(payload)}`)
  }
})

t.test('a token\'s settings hold where envelope and query say nothing', async t => {
  const it = await testApp(t)
  const send = (payload: object, query = '') => it.app.inject({
    method: 'POST',
    url: `/services/collector?${query}`,
    headers: { authorization: `Splunk ${OTHER_TOKEN}` },
    payload: JSON.stringify(payload),
  })

  await send({ event: 'token' })
  await send({ event: 'query' }, 'host=qh&source=qs&sourcetype=qst&index=metrics')
  await send({ event: 'envelope', host: 'eh', source: 'es', sourcetype: 'est', index: 'metrics' }, 'host=qh&source=qs&sourcetype=qst')
  await send({ event: 'empty', host: '', source: '', sourcetype: '', index: '' }, 'host=&source=')

  t.strictSame((await storedEvents(it)).map(({ event, host, source, sourcetype, index }) => ({ event, host, source, sourcetype, index })), [
    { event: 'token', host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' },
    { event: 'query', host: 'qh', source: 'qs', sourcetype: 'qst', index: 'metrics' },
    { event: 'envelope', host: 'eh', source: 'es', sourcetype: 'est', index: 'metrics' },
    { event: 'empty', host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' },
  ])
})

t.test('a token may name only its indexes', async t => {
  const { app } = await testApp(t)
  const send = (index: string, query = '') => app.inject({
    method: 'POST',
    url: `/services/collector?${query}`,
    headers: { authorization: `Splunk ${OTHER_TOKEN}` },
    payload: JSON.stringify({ event: 'a', ...(index === '' ? {} : { index }) }),
  })

  t.equal((await send('metrics')).statusCode, 200)
  t.match(await send('main'), { statusCode: 400, body: '{"text":"Incorrect index","code":7,"invalid-event-number":1}' }, 'it exists, but is not the token\'s')
  t.match(await send('nope'), { statusCode: 400, body: '{"text":"Incorrect index","code":7,"invalid-event-number":1}' }, 'it does not exist')
  t.match(await send('', 'index=main'), { statusCode: 400, body: '{"text":"Incorrect index","code":7,"invalid-event-number":1}' }, 'nor by the query')
  t.equal((await send('metrics', 'index=main')).statusCode, 200, 'the envelope\'s is the one that counts')
})

t.test('a token without a list may name every index that exists', async t => {
  const it = await testApp(t)

  t.equal((await post(it, { event: 'a', index: 'metrics' })).statusCode, 200)
  t.equal((await post(it, { event: 'b' }, {}, '/services/collector?index=cisco_isovalent')).statusCode, 200)
  for (const [body, query] of [[{ event: 'c', index: 'nope' }, ''], [{ event: 'd' }, 'index=nope']] as const) {
    const reply = await post(it, body, {}, `/services/collector?${query}`)
    t.match(reply, { statusCode: 400, body: '{"text":"Incorrect index","code":7,"invalid-event-number":1}' }, `${JSON.stringify(body)} ${query}`)
  }
  t.strictSame((await storedEvents(it)).map(({ index }) => index), ['metrics', 'cisco_isovalent'])
})
