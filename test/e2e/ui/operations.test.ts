import t from 'tap'
import type { Backup, Delivery, Key, LedgerSlot, PageOf } from '../../../src/ui/page/api-types.js'
import { ANALYST_KEY, tempDir, VIEWER_KEY } from '../../fixtures/app.js'
import { counts, ESCAPE, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, showsAll, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'
import { notifyOf, openReceiver } from '../../fixtures/receiver.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

const HOSTILE = '<img src=x onerror=alert(1)>\u202e'

const TABS = ['deliveries', 'ledger', 'store', 'backups', 'keys', 'audit'] as const

t.test('Operations', { skip }, async t => {
  const answers = { status: 400 }
  const receiver = await openReceiver(t, (_request, response) => {
    response.statusCode = answers.status
    response.end(HOSTILE)
  })
  const backupDir = tempDir(t)
  const watch = await startWatch(t, [], config => ({
    ...config,
    data: { ...config.data, backup_dir: backupDir },
    notify: notifyOf(t, [{ name: 'pager', type: 'webhook', url: receiver.url, max_tries: 1 }]),
  }))
  const { open } = await openBrowser(t, watch)
  const dead = () => watch.api<PageOf<Delivery>>('/deliveries?state=dead')
  // Each that is given up is followed by a pause, so that the clock has to go on.
  await watch.until(async () => {
    watch.clock.set(new Date(watch.clock.now() + 60_000).toISOString())
    return [await dead(), await watch.api<PageOf<Delivery>>('/deliveries?state=pending')] as const
  }, ([given, pending]) => given.items.length >= 3 && pending.items.length === 0)

  await t.test('say how targets do; what was given up is sent again or dropped, and a target is tested', async t => {
    const { page, context, faults } = await open('/operations')
    await settle(page)
    const targets = page.getByRole('region', { name: 'Targets', exact: true }).last()
    await shows(t, targets, /pager[^]*fails/)
    await targets.getByRole('button', { name: 'Test' }).click()
    const tested = page.getByRole('dialog', { name: 'Test of pager' })
    await tested.getByText('it failed').waitFor()
    await shows(t, tested, /status 400/)
    await shows(t, tested, /<img src=x onerror=alert\(1\)>/, 'hostile text is text')
    await counts(t, page.locator('main img, dialog img'), 0)
    await page.keyboard.press('Escape')

    await page.getByLabel('State').selectOption('dead')
    await page.waitForURL(/state=dead/)
    await settle(page)
    const before = (await dead()).items.length
    await page.getByRole('button', { name: 'Drop', exact: true }).first().click()
    await page.getByRole('dialog', { name: 'Drop the delivery' }).getByRole('button', { name: 'Drop' }).click()
    await watch.until(dead, ({ items }) => items.length === before - 1)

    answers.status = 200
    await page.getByRole('button', { name: 'Send again', exact: true }).first().click()
    await watch.until(() => {
      watch.clock.set(new Date(watch.clock.now() + 1_000).toISOString()) // it looks once in a while
      return watch.api<PageOf<Delivery>>('/deliveries?state=delivered')
    }, ({ items }) => items.length >= 1)
    await page.getByRole('button', { name: /^Drop those given up/ }).click()
    await page.getByRole('dialog', { name: 'Drop what was given up' }).getByRole('button', { name: /^Drop \d/ }).click()
    await watch.until(dead, ({ items }) => items.length === 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('show a key’s secret once, change it and revoke it; keys of the configuration say so', async t => {
    const { page, context, faults } = await open('/operations?tab=keys')
    await settle(page)
    await counts(t, page.getByText('set in the configuration: api.keys'), 3)
    await page.keyboard.press('n')
    const dialog = page.getByRole('dialog', { name: 'New key' })
    await dialog.getByLabel('Name').fill('a-script')
    await dialog.getByLabel(/^Role/).selectOption('analyst')
    await dialog.getByLabel('Expires').selectOption('7')
    await dialog.getByRole('button', { name: 'Make it' }).click()
    const made = page.getByRole('dialog', { name: 'The key a-script' })
    const secret = (await made.getByRole('region', { name: 'Key' }).innerText()).trim()
    await made.getByRole('button', { name: 'Copy: Key' }).waitFor()
    await shoot(page, 'operations-key-light-1280')
    const ask = () => fetch(`${watch.url}/api/v1/session`, { headers: { authorization: `Bearer ${secret}` } })
    t.match(await (await ask()).json(), { name: 'a-script', role: 'analyst' })
    await made.getByRole('button', { name: 'It is kept' }).click()
    t.notOk((await page.locator('body').innerText()).includes(secret), 'shown once')

    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByText('disabled', { exact: true }).waitFor()
    t.equal((await ask()).status, 401)
    await page.getByRole('button', { name: 'Change' }).click()
    await page.getByRole('dialog').getByLabel(/^Role/).selectOption('viewer')
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await watch.until(() => watch.api<Key>('/keys/a-script'), ({ role }) => role === 'viewer')
    await page.getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('dialog', { name: 'Revoke the key' }).getByRole('button', { name: 'Revoke' }).click()
    await watch.until(() => watch.api<PageOf<Key>>('/keys'), ({ items }) => items.length === 3)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('begin a backup, list partitions, and say in the audit log who did what', async t => {
    const { page, context, faults } = await open('/operations?tab=backups')
    await page.getByText('There is no backup').waitFor()
    await page.getByRole('button', { name: 'Begin a backup' }).click()
    const { items: [backup] } = await watch.until(() => watch.api<PageOf<Backup>>('/backups'), ({ items }) => items[0]?.state === 'succeeded')
    await page.reload()
    await page.getByText(backup!.id).waitFor()
    await page.getByText('succeeded', { exact: true }).waitFor()

    await page.keyboard.press('3')
    await page.waitForURL(/tab=store/)
    await settle(page)
    await shows(t, page.getByRole('region', { name: 'Partitions', exact: true }).last(), /2026-03-10/)
    const limits = page.getByRole('region', { name: 'Limits', exact: true })
    await shows(t, limits, /30 d[^]*the oldest day, 2026-03-10, goes in 30 d[^]*Events, by size nearest[^]*up to 50 GB[^]*kB are taken[^]*Audit log[^]*730 d/)
    await counts(t, limits.getByRole('meter'), 2)

    await page.goto('/operations?tab=audit&action=key.add')
    await settle(page)
    const row = page.getByRole('region', { name: 'Audit log', exact: true }).last().locator('tbody tr')
    await counts(t, row, 1)
    await shows(t, row, /ada[^]*key\.add[^]*a-script[^]*done/)
    await row.locator('summary').click()
    await shows(t, row, /"role": "analyst"/)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('have owed and failed slots waived, with a reason, by those who may', async t => {
    const { page, context, faults } = await open(null, { key: ANALYST_KEY })
    const sent: unknown[] = []
    let slots = ['2026-03-10T11:00:00.000Z', '2026-03-10T12:00:00.000Z']
    await page.route(/\/ledger\?/, async route => { // nothing of the watch is owed
      const { items: [slot] } = await watch.api<PageOf<LedgerSlot>>(`/ledger?detection=${ESCAPE}&limit=1`)
      const state = new URL(route.request().url()).searchParams.get('state')
      await route.fulfill({ json: { items: state === 'owed' ? [] : slots.map(scheduled => ({ ...slot, scheduled_time: scheduled, state, error: HOSTILE, tries: 3 })), next_cursor: null } })
    })
    await page.route('**/waivers', async route => {
      sent.push([new URL(route.request().url()).pathname, route.request().postDataJSON()])
      slots = slots.slice(1)
      await route.fulfill({ json: { waived: 1 } })
    })
    await page.goto('/operations?tab=ledger')
    const failed = page.getByRole('region', { name: 'Failed', exact: true }).last()
    await failed.getByRole('button', { name: 'Waive…' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'Waive' })
    await shows(t, dialog, new RegExp(`${ESCAPE}[^]*2026-03-10 11:00:00`))
    t.ok(await dialog.getByRole('button', { name: 'Waive' }).isDisabled(), 'not without a reason')
    await dialog.getByLabel('Reason').fill('  the node was rebuilt ')
    await shoot(page, 'operations-waive-light-1280')
    await dialog.getByRole('button', { name: 'Waive' }).click()
    await page.getByText('1 slot waived').waitFor()
    await page.waitForFunction(() => [...document.querySelectorAll('button')].filter(({ textContent }) => textContent === 'Waive…').length === 1)
    t.strictSame(sent, [[`/api/v1/detections/${ESCAPE}/waivers`, { scheduled_time: '2026-03-10T11:00:00.000Z', reason: 'the node was rebuilt' }]])
    await counts(t, page.locator('main img'), 0, 'hostile text is text')
    await page.unrouteAll({ behavior: 'ignoreErrors' }) // the page polls
    t.strictSame(faults, [])
    await context.close()

    const viewer = await open(null, { key: VIEWER_KEY })
    await viewer.page.route(/\/ledger\?/, async route => {
      const { items } = await watch.api<PageOf<LedgerSlot>>(`/ledger?detection=${ESCAPE}&limit=1`)
      await route.fulfill({ json: { items, next_cursor: null } })
    })
    await viewer.page.goto('/operations?tab=ledger')
    await viewer.page.getByRole('link', { name: ESCAPE }).first().waitFor()
    await counts(t, viewer.page.getByRole('button', { name: 'Waive…' }), 0)
    await viewer.page.unrouteAll({ behavior: 'ignoreErrors' })
    await viewer.context.close()
  })

  await t.test('offer what the role may do', async t => {
    for (const [key, mayNot] of [[ANALYST_KEY, ['Test', 'Drop']], [VIEWER_KEY, ['Test', 'Drop', 'Send again']]] as const) {
      const { page, context } = await open('/operations', { key })
      await settle(page)
      await showsAll(t, page.getByRole('navigation', { name: 'Parts' }).getByRole('link'), ['Deliveries', 'Owed and failed', 'Store', 'Backups'])
      for (const name of mayNot) await counts(t, page.getByRole('button', { name, exact: true }), 0, name)
      await page.goto('/operations?tab=backups')
      await settle(page)
      await counts(t, page.getByRole('button', { name: 'Begin a backup' }), 0)
      await context.close()
    }
  })

  for (const look of LOOKS) {
    await t.test(`have nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open(null, look)
      for (const tab of TABS) {
        await page.goto(`/operations?tab=${tab}`)
        await settle(page)
        await shoot(page, `operations-${tab}-${look.theme}-${look.width}`)
        t.strictSame(await seriousFaults(page), [], tab)
        t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `nothing is wider than the window: ${tab}`)
      }
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
