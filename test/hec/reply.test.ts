import t from 'tap'
import { hecBody, HecError } from '../../src/hec/reply.js'

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
