/** HEC's replies: code → HTTP status and text. Source: hec.md section 3. */
export const HEC_REPLY = {
  0: { status: 200, text: 'Success' },
  1: { status: 403, text: 'Token disabled' },
  2: { status: 401, text: 'Token is required' },
  3: { status: 401, text: 'Invalid authorization' },
  4: { status: 403, text: 'Invalid token' },
  5: { status: 400, text: 'No data' },
  6: { status: 400, text: 'Invalid data format' },
  7: { status: 400, text: 'Incorrect index' },
  8: { status: 500, text: 'Internal server error' },
  9: { status: 503, text: 'Server is busy' },
  10: { status: 400, text: 'Data channel is missing' },
  11: { status: 400, text: 'Invalid data channel' },
  12: { status: 400, text: 'Event field is required' },
  13: { status: 400, text: 'Event field cannot be blank' },
  14: { status: 400, text: 'ACK is disabled' },
  15: { status: 400, text: 'Error in handling indexed fields' },
  16: { status: 400, text: 'Query string authorization is not enabled' },
  17: { status: 200, text: 'HEC is healthy' },
  18: { status: 503, text: 'HEC is unhealthy, queues are full' },
  19: { status: 503, text: 'HEC is unhealthy, ack service unavailable' },
  20: { status: 503, text: 'HEC is unhealthy, queues are full, ack service unavailable' },
  23: { status: 503, text: 'Server is shutting down' },
  404: { status: 404, text: 'The requested URL was not found on this server.' },
} as const satisfies Record<number, { status: number, text: string }>

export type HecCode = keyof typeof HEC_REPLY

/** A refusal by code. `status` differs from the table's where Splunk uses one text for several (405, 413, 415). */
export class HecError extends Error {
  override name = 'HecError'
  constructor (readonly code: HecCode, readonly status: number = HEC_REPLY[code].status, readonly text: string = HEC_REPLY[code].text) {
    super(text)
  }
}

/** What a reply's body says besides its code; `number` is `invalid-event-number`. */
export interface ReplyMembers { readonly text?: string | undefined, readonly number?: number | undefined, readonly ackId?: number | undefined }

/** The body of a reply: compact, in Splunk's order of members, no newline (hec.md section 3). */
export function hecBody (code: HecCode, { text = HEC_REPLY[code].text, number, ackId }: ReplyMembers = {}): string {
  return JSON.stringify({ text, code, 'invalid-event-number': number, ackId }) // what is undefined is left out
}
