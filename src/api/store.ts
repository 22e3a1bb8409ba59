import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Config } from '../config.js'
import { toSeconds } from '../event.js'
import type { Disk } from '../store/disk.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'

const Partition = z.object({
  name: z.string().describe('day of arrival, with a number behind it from the day\'s second file on'),
  state: z.enum(['open', 'ok', 'damaged']).describe('open is the last one that was written; damaged ones are neither read nor written'),
  schema: z.number().int().nullable(),
  packed: z.boolean().nullable().describe('whether its day is over and it is as small as it becomes'),
  events: z.number().int().nullable(),
  bytes: z.number().int().describe('of the file and its write-ahead log'),
  earliest: z.number().nullable().describe('time of the earliest event, epoch seconds'),
  latest: z.number().nullable().describe('time of the latest event, epoch seconds'),
}).meta({ id: 'Partition', description: 'What is not known of a damaged partition is null, as are the times of an empty one.' })

const DiskSpace = z.object({
  free_bytes: z.number().int(),
  reserve_bytes: z.number().int().describe('data.reserve_bytes: below it no events are taken; 0 where the disk is not watched'),
  full: z.boolean().describe('whether events are refused for lack of space'),
})

const Retention = z.object({
  events_seconds: z.number().int().describe('data.retention: a partition goes so long after the end of its day'),
  max_bytes: z.number().int().describe('data.max_bytes: above it the oldest partitions go'),
  bytes: z.number().int().describe('what counts in max_bytes: partitions that are not damaged'),
  findings_seconds: z.number().int().describe('data.findings_retention: a finding goes so long after its last change'),
  ledger_seconds: z.number().int().describe('data.ledger_retention: a slot that is done or waived goes so long after its last change'),
  audit_seconds: z.number().int().describe('data.audit_retention: an entry of the audit log goes when it is that old'),
}).meta({ id: 'Retention', description: 'How long and how much is kept, as it is in force.' })

export const StoreView = z.object({ partitions: z.array(Partition).describe('oldest first'), disk: DiskSpace, retention: Retention })

export interface StoreRouteDeps {
  readonly events: EventStore
  readonly disk: Pick<Disk, 'state'>
  readonly retention: Pick<Config['data'], 'retention' | 'max_bytes' | 'findings_retention' | 'ledger_retention' | 'audit_retention'>
}

/** GET /store: what the events are in, and what is kept for how long. */
export async function storeRoutes (app: FastifyInstance, { events, disk, retention }: StoreRouteDeps) {
  app.withTypeProvider<ZodTypeProvider>().get('/store', {
    schema: {
      summary: 'The files of the events, the disk that they are on, and what is kept for how long',
      tags: ['events'],
      response: { 200: StoreView, ...problemReplies },
    },
  }, async () => {
    const { freeBytes, reserveBytes, isFull } = disk.state()
    const partitions = events.partitions()
    return {
      partitions: partitions.map(({ minTimeUs, maxTimeUs, ...partition }) => ({
        ...partition,
        earliest: minTimeUs === null ? null : toSeconds(minTimeUs),
        latest: maxTimeUs === null ? null : toSeconds(maxTimeUs),
      })),
      disk: { free_bytes: freeBytes, reserve_bytes: reserveBytes, full: isFull },
      retention: {
        events_seconds: retention.retention / 1000,
        max_bytes: retention.max_bytes,
        bytes: partitions.reduce((sum, { state, bytes }) => state === 'damaged' ? sum : sum + bytes, 0),
        findings_seconds: retention.findings_retention / 1000,
        ledger_seconds: retention.ledger_retention / 1000,
        audit_seconds: retention.audit_retention / 1000,
      },
    }
  })
}
