import { z } from 'zod'

/** An event as it was indexed and as `GET /api/v1/events` shows it. A file of its own: the store's threads, which read no schema, would take twice as long to start with zod. */
export const Event = z.object({
  id: z.number().int().describe('grows in the order of storing'),
  time: z.number().describe('epoch seconds, up to six decimals'),
  index_time: z.string().describe('when the request arrived; RFC 3339'),
  host: z.string(),
  source: z.string(),
  sourcetype: z.string(),
  index: z.string(),
  event: z.unknown().describe("the envelope's event as it was sent; null for a metric without one"),
  raw: z.string().describe('the text of event: of a string its characters, of anything else its JSON as sent'),
  // Not z.record, which drops a key __proto__.
  fields: z.unknown().meta({ type: 'object', additionalProperties: true, description: 'indexed fields of the envelope' }),
}).meta({ id: 'Event' })
export type Event = z.infer<typeof Event>
