import t from 'tap'
import { HEC_REPLY, hecBody, HecError } from '../../src/hec/reply.js'

/** hec.md section 3, without what is documented but never seen or never sent (21, 22, 24 to 28). */
const REPLIES: readonly (readonly [code: number, status: number, text: string])[] = [
  [0, 200, 'Success'],
  [1, 403, 'Token disabled'],
  [2, 401, 'Token is required'],
  [3, 401, 'Invalid authorization'],
  [4, 403, 'Invalid token'],
  [5, 400, 'No data'],
  [6, 400, 'Invalid data format'],
  [7, 400, 'Incorrect index'],
  [8, 500, 'Internal server error'],
  [9, 503, 'Server is busy'],
  [10, 400, 'Data channel is missing'],
  [11, 400, 'Invalid data channel'],
  [12, 400, 'Event field is required'],
  [13, 400, 'Event field cannot be blank'],
  [14, 400, 'ACK is disabled'],
  [15, 400, 'Error in handling indexed fields'],
  [16, 400, 'Query string authorization is not enabled'],
  [17, 200, 'HEC is healthy'],
  [18, 503, 'HEC is unhealthy, queues are full'],
  [19, 503, 'HEC is unhealthy, ack service unavailable'],
  [20, 503, 'HEC is unhealthy, queues are full, ack service unavailable'],
  [23, 503, 'Server is shutting down'],
  [404, 404, 'The requested URL was not found on this server.'],
]

t.test('every reply has the status and the text of Splunk', async t => {
  for (const [code, status, text] of REPLIES) t.strictSame((HEC_REPLY as Record<number, unknown>)[code], { status, text }, `code ${code}`)
})

t.test('no reply has a status that makes clients drop or repeat what was taken', async t => {
  const statuses = new Set(Object.values(HEC_REPLY).map(({ status }) => status as number))

  for (const status of [201, 202, 204, 429]) t.notOk(statuses.has(status), `${status}`)
})

t.test('a body is compact JSON in the order text, code, invalid-event-number, ackId', async t => {
  t.equal(hecBody(0), '{"text":"Success","code":0}')
  t.equal(hecBody(7, { number: 3 }), '{"text":"Incorrect index","code":7,"invalid-event-number":3}')
  t.equal(hecBody(6, { text: 'Content too large', number: 0 }), '{"text":"Content too large","code":6,"invalid-event-number":0}')
  t.equal(hecBody(6, { ackId: 1, number: 2 }), '{"text":"Invalid data format","code":6,"invalid-event-number":2,"ackId":1}')
})

t.test('a refusal has its code\'s status and text unless it is given others', async t => {
  t.match(new HecError(4), { code: 4, status: 403, message: 'Invalid token', text: 'Invalid token' })
  t.match(new HecError(6, 413, 'Content too large'), { code: 6, status: 413, text: 'Content too large' })
})
