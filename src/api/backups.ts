import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AppError } from '../errors.js'
import type { Backups } from '../store/backups.js'
import { Backup } from '../store/backups.js'
import { problemReplies } from './problem.js'
import { limitOf, Page, pageOf, readCursor, toCursor } from './query.js'

/** /backups: copies of the data folder, made while the server runs. Where they go only the configuration says. */
export async function backupRoutes (app: FastifyInstance, { backups }: { backups: Backups }) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.get('/backups', {
    schema: { summary: 'Backups below data.backup_dir, newest first', tags: ['backups'], querystring: Page, response: { 200: pageOf(Backup), ...problemReplies } },
  }, async ({ query }) => {
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.string()]))
    const all = await backups.ids()
    const rest = before === undefined ? all : all.filter(id => id < before)
    const page = rest.slice(0, limitOf(query))
    const found = await Promise.all(page.map(backups.get))
    return {
      items: found.flatMap(backup => backup ?? []), // one may be removed meanwhile
      next_cursor: rest.length > page.length ? toCursor([page.at(-1)!]) : null,
      ...(query.count === 'exact' ? { total: all.length } : {}),
    }
  })

  routes.post('/backups', {
    config: { role: 'admin', audit: 'backup.begin' },
    schema: {
      summary: 'Begin a backup',
      description: 'It goes to a folder of its own below data.backup_dir, named by the time. One runs at a time.',
      tags: ['backups'],
      response: { 202: Backup, ...problemReplies },
    },
  }, async ({ log, apiKey, audited }, reply) => {
    const backup = backups.start()
    audited({ id: backup.id })
    log.info({ backup_id: backup.id, key_name: apiKey?.name }, 'backup begun')
    return reply.code(202).header('location', `/api/v1/backups/${backup.id}`).send(backup)
  })

  routes.get('/backups/:id', {
    schema: {
      summary: 'One backup, and how far it is',
      tags: ['backups'],
      params: z.strictObject({ id: z.string().min(1).max(100) }),
      response: { 200: Backup, ...problemReplies },
    },
  }, async ({ params }) => {
    const backup = await backups.get(params.id)
    if (backup === undefined) throw new AppError('not_found', 'there is no such backup')
    return backup
  })
}
