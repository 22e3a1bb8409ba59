import t from 'tap'
import { ANALYST_KEY, VIEWER_KEY } from '../../fixtures/app.js'
import { counts, ESCAPE, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(1_200_000) // a browser on a machine that may be busy

const skip = withoutChromium()

const HOSTILE = '<img src=x onerror=alert(1)>'

const BROKEN = `name: 'Broken ${HOSTILE}'
id: 5f4c1f0a-0f5b-4a7e-9a53-1f1f6c9b7a10
version: 1
status: production
type: TTP
description: 'Says ${HOSTILE}'
search: |-
  process_name="sh"
  | stast count BY pod_name
rba:
  message: in $pod_name$
  risk_objects: [{ field: pod_name, type: system, score: 50 }]
  threat_objects: []
tags: { analytic_story: [], mitre_attack_id: [T1059], product: [Hecate], security_domain: endpoint, asset_type: Endpoint }
`

/** Not set by the configuration, so that it may be changed. */
const FREE = 'hecate___potential_escape_to_host_within_two_minutes'

t.test('Detections', { skip }, async t => {
  const watch = await startWatch(t, [BROKEN])
  const { items: [finding] } = await watch.api<{ items: { id: string }[] }>(`/findings?detection=${ESCAPE}`)
  await watch.api(`/findings/${finding!.id}`, { status: 'closed', disposition: 'benign' }, 'PATCH')
  const { open } = await openBrowser(t, watch)

  /** Until no backfill is queued or runs; each look is a second later by the server's clock. */
  const allDone = () => watch.until(() => {
    watch.clock.set(new Date(watch.clock.now() + 1000).toISOString())
    return watch.api<{ items: { state: string }[] }>('/backfills')
  }, ({ items }) => items.every(({ state }) => state !== 'queued' && state !== 'running'))
  const escapePath = `/detections/${ESCAPE}`

  await t.test('are listed with their state, runs, findings and noise; a broken one says where', async t => {
    const { page, context, faults } = await open('/detections')
    const row = page.getByRole('row').filter({ has: page.locator(`a[href="${escapePath}"]`) })
    await row.getByText('100 %').waitFor()

    await shows(t, row, /enabled[^]*in \d+ min[^]*1\s+0\.14\/day[^]*100 %\s+of 1[^]*none/)
    await row.getByRole('img', { name: /^\d+ runs?, none failed$/ }).waitFor()
    const bad = page.getByRole('row').filter({ has: page.locator('a[href="/detections/0"]') })
    await shows(t, bad, /Broken <img src=x onerror=alert\(1\)>[^]*9:5 search: 2:3: The command "stast" isn't supported[^]*broken/)
    await counts(t, page.locator('main img[src]'), 0)

    await page.getByLabel('Name, technique, words').fill('t1611')
    await bad.waitFor({ state: 'detached' })
    t.match(page.url(), /q=t1611/)
    await page.getByRole('heading', { level: 1 }).click()
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/detections\/[a-z_]+$/)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('One shows its search, where the push-down ends, and where each setting comes from', async t => {
    const { page, context, faults } = await open(escapePath)
    await page.getByText(/The push-down ends here|The store does all of it/).waitFor()

    await page.locator('.spl-part.stored .spl-command').nth(1).waitFor() // the bins and aggregates of the store
    await shows(t, page.locator('.spl-part:not(.stored)'), /where|table|search/)
    const schedule = page.getByRole('region', { name: 'Schedule' })
    await shows(t, schedule, /enabled\s+set by the configuration/)
    await shows(t, schedule, /0 \* \* \* \*\s+(the default|from its file)/)

    await page.getByRole('button', { name: 'Disable' }).click()
    await page.locator('.toast.bad').filter({ hasText: `detections.overrides.${ESCAPE}.enabled` }).waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('A broken one shows the line of its search with a caret', async t => {
    const { page, context, faults } = await open('/detections/0')
    await page.locator('.spl-problem').waitFor()
    t.equal(await page.locator('.spl-problem pre').textContent(), '| stast count BY pod_name\n  ^')
    await shows(t, page.locator('.problem'), '0.yml:9:5')
    await counts(t, page.locator('main img[src]'), 0)
    await settle(page)
    await shoot(page, 'detection-broken-light-1280')
    t.strictSame(await seriousFaults(page), [])
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('is enabled and scheduled by admins, and what is wrong with a schedule is said', async t => {
    const { page, context, faults } = await open(`/detections/${FREE}`)
    await page.getByRole('button', { name: 'Enable' }).click()
    await page.getByRole('button', { name: 'Disable' }).waitFor()
    await page.getByRole('button', { name: 'Schedule…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Schedule' })
    await dialog.getByLabel(/^Cron/).fill('61 * * * *')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('alert').waitFor()
    await dialog.getByLabel(/^Cron/).fill('*/30 * * * *')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('region', { name: 'Schedule' }).getByText('*/30 * * * *').waitFor()
    await shows(t, page.getByRole('region', { name: 'Schedule' }), /\*\/30 \* \* \* \*\s+set here or by the API/)
    t.strictSame(faults, [])
    await context.close()
    const viewer = await open(`/detections/${FREE}`, { key: VIEWER_KEY })
    await viewer.page.getByRole('region', { name: 'Schedule' }).waitFor()
    await counts(t, viewer.page.getByRole('button', { name: /^(Schedule…|Enable|Disable|Backfill…)$/ }), 0)
    await viewer.context.close()
  })

  await t.test('has a map of its slots, which is walked by keys and says what became of each', async t => {
    const { page, context, faults } = await open(escapePath)
    const map = page.getByRole('group', { name: /^Slots by day/ })
    await map.getByRole('button', { name: '2026-03-10 12:00: done, 1 row' }).click()
    const facts = page.getByRole('region', { name: 'The slot that is chosen' })
    await facts.waitFor()
    await shows(t, facts, /State\s+done[^]*Window\s+2026-03-10 10:50:00 – 2026-03-10 11:50:00[^]*Rows\s+1/)
    t.match(page.url(), /slot=2026-03-10T12%3A00/)
    await page.keyboard.press('ArrowLeft')
    await facts.getByText('2026-03-10 11:00', { exact: false }).first().waitFor()
    t.match(page.url(), /slot=2026-03-10T11%3A00/)
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'Copy: the sentence' }).click()
    t.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator('.quote blockquote').innerText())
    await facts.getByRole('button', { name: 'Run again' }).click()
    await page.getByText('It ran: 0 rows').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('has slots waived, with a reason', async t => {
    const { page, context, faults } = await open(null, { key: ANALYST_KEY })
    let sent: unknown = null
    await page.route(/\/coverage\?/, async route => { // nothing of the watch is owed
      const reply = await route.fetch({ headers: await route.request().allHeaders() })
      const coverage = await reply.json() as { slots: { items: { state: string, error: string | null }[] } }
      Object.assign(coverage.slots.items.at(-1)!, { state: 'failed', error: HOSTILE })
      await route.fulfill({ json: coverage })
    })
    await page.route('**/waivers', route => {
      sent = route.request().postDataJSON()
      return route.fulfill({ json: { waived: 1 } })
    })
    await page.goto(escapePath)
    await page.getByRole('button', { name: /12:00: failed/ }).click()
    await page.getByText(HOSTILE).first().waitFor()
    await page.getByRole('button', { name: 'Waive…' }).click()
    await page.getByLabel('Reason').fill('maintenance')
    await page.getByRole('dialog').getByRole('button', { name: 'Waive' }).click()
    await page.getByText('1 slot waived').waitFor()
    await page.unrouteAll({ behavior: 'ignoreErrors' }) // the page polls
    t.strictSame(sent, { scheduled_time: '2026-03-10T12:00:00.000Z', reason: 'maintenance' })
    await counts(t, page.locator('main img[src]'), 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('is previewed slot by slot, with how far that is and a histogram', async t => {
    const { page, context, faults } = await open(escapePath)
    await page.getByRole('button', { name: 'Preview', exact: true }).click()
    await page.getByRole('region', { name: 'Rows of the preview' }).waitFor()
    await page.waitForFunction(() => { const bar = document.querySelector('#preview [role=progressbar]'); return bar !== null && bar.getAttribute('aria-valuenow') === bar.getAttribute('aria-valuemax') })
    await shows(t, page.locator('#preview .progress'), /2[34] of 2[34]\s+1 row/)
    await page.getByRole('img', { name: /^Rows by slot: 1 of 2[34] slots$/ }).waitFor()
    await counts(t, page.locator('#preview tbody tr'), 1)
    await shoot(page, 'detection-preview-light-1280')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('is backfilled: a dry run first, its rows, and then for good', async t => {
    const { page, context, faults } = await open(escapePath)
    await page.getByRole('button', { name: 'Backfill…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Backfill' })
    t.ok(await dialog.getByRole('checkbox').isChecked())
    await dialog.getByLabel('From').fill('2026-03-10T06:00:00Z')
    await dialog.getByLabel('To').fill('2026-03-10T12:00:00Z')
    await dialog.getByRole('button', { name: 'Start the dry run' }).click()
    await allDone()
    await page.locator('.backfills li').filter({ hasText: 'succeeded' }).waitFor()
    await page.locator('.backfills').getByRole('button', { name: 'Rows' }).click()
    await page.getByRole('region', { name: 'Rows of the dry run' }).waitFor()
    await counts(t, page.getByRole('region', { name: 'Rows of the dry run' }).locator('tbody tr'), 1)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Do it for good…' }).click()
    await page.getByText('Findings of that time come up as new').waitFor()
    await page.getByRole('button', { name: 'Start the backfill' }).click()
    await page.locator('.backfills li').nth(1).waitFor()
    await allDone()
    await page.locator('.backfills li').first().getByText('succeeded').waitFor()
    await shows(t, page.locator('.backfills li').first(), /1 row; findings: 1 unchanged/)
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`have nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/detections', look)
      await page.getByText('100 %').waitFor()
      await settle(page)
      await shoot(page, `detections-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      await page.goto(`${escapePath}?slot=2026-03-10T12%3A00%3A00.000Z`)
      await page.getByText(/The push-down ends here/).waitFor()
      await page.getByRole('region', { name: 'The slot that is chosen' }).waitFor()
      await settle(page)
      await shoot(page, `detection-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
