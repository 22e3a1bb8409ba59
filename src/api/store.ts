import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { toSeconds } from '../event.js'
import type { Disk } from '../store/disk.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'

const Partition = z.object({
  name: z.string().describe('day of arrival, with a number behind it from the day\'s second file on'),
  state: z.enum(['open', 'ok', 'damaged']).describe('open is the last one that was written; damaged ones are neither read nor written'),
  schema: z.number().int().nullable(),
  events: z.number().int().nullable(),
  bytes: z.number().int().describe('of the file and its write-ahead log'),
  earliest: z.number().nullable().describe('time of the earliest event, epoch seconds'),
  latest: z.number().nullable().describe('time of the latest event, epoch seconds'),
}).meta({ id: 'Partition', description: 'What is not known of a damaged partition is null, as are the times of an empty one.' })

const DiskSpace = z.object({
  free_bytes: z.number().int(),
  reserve_bytes: z.number().int().describe('data.reserve_bytes'),
  full: z.boolean().describe('whether events are refused for lack of space'),
})

export const StoreView = z.object({ partitions: z.array(Partition).describe('oldest first'), disk: DiskSpace })

/** GET /store: what the events are in. */
export async function storeRoutes (app: FastifyInstance, { events, disk }: { events: EventStore, disk: Pick<Disk, 'state'> }) {
  app.withTypeProvider<ZodTypeProvider>().get('/store', {
    schema: {
      summary: 'The files of the events, and the disk that they are on',
      tags: ['events'],
      response: { 200: StoreView, ...problemReplies },
    },
  }, async () => {
    const { freeBytes, reserveBytes, isFull } = disk.state()
    return {
      partitions: events.partitions().map(({ minTimeUs, maxTimeUs, ...partition }) => ({
        ...partition,
        earliest: minTimeUs === null ? null : toSeconds(minTimeUs),
        latest: maxTimeUs === null ? null : toSeconds(maxTimeUs),
      })),
      disk: { free_bytes: freeBytes, reserve_bytes: reserveBytes, full: isFull },
    }
  })
}
