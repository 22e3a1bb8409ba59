import t from 'tap'
import type { Finding, PageOf, Suppression } from '../../../src/ui/page/api-types.js'
import { VIEWER_KEY } from '../../fixtures/app.js'
import { counts, ESCAPE, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

const HOSTILE = '<img src=x onerror=alert(1)>\u202e"\'</textarea><script>alert(2)</script>'

t.test('Suppressions', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)
  const { items: [finding] } = await watch.api<PageOf<Finding>>(`/findings?detection=${ESCAPE}`)
  await watch.api(`/findings/${finding!.id}`, { status: 'closed', disposition: 'true_positive' }, 'PATCH')
  const kept = () => watch.api<PageOf<Suppression>>('/suppressions')

  await t.test('are made with a preview of what they would have hidden, true positives before all others', async t => {
    const { page, context, faults } = await open('/suppressions')
    await page.getByText('Nothing is suppressed').waitFor()
    await page.keyboard.press('n')
    const dialog = page.getByRole('dialog', { name: 'New suppression' })
    await dialog.waitFor()
    await dialog.getByLabel(/^Condition/).fill('pod_name="*" AND (')
    await dialog.getByRole('alert').waitFor()
    const [, line, caret] = /^(.*pod_name="\*" AND \(.*)\n( *\^)/m.exec(await dialog.getByRole('alert').innerText()) ?? []
    t.ok(line !== undefined && caret !== undefined, 'line and caret')
    t.equal(await dialog.getByRole('alert').evaluate(one => getComputedStyle(one).whiteSpace), 'pre', 'so that the caret is below what is wrong')
    await shoot(page, 'suppression-error-light-1280')

    await dialog.getByLabel(/^Condition/).fill('pod_name="*"')
    await dialog.getByText(/it would have hidden [1-9]/).waitFor()
    await shows(t, dialog.getByRole('region', { name: 'Preview' }), /1 of them was a true positive/)
    await shows(t, dialog.locator('.preview li').first(), /^true positive/)
    t.strictSame((await kept()).items, [], 'nothing is saved yet')
    await shoot(page, 'suppression-preview-light-1280')
    await dialog.getByLabel('Reason').fill(HOSTILE)
    await dialog.getByLabel('Detection').selectOption(ESCAPE)
    await dialog.getByText(/it would have hidden 1/).waitFor()
    await dialog.getByRole('button', { name: 'Suppress' }).click()
    await page.getByRole('region', { name: 'Suppression', exact: true }).waitFor()
    const { items: [made] } = await kept()
    t.match(made, { condition: 'pod_name="*"', reason: HOSTILE, detection: ESCAPE, owner: 'ada', state: 'active' })
    t.equal(new URL(page.url()).searchParams.get('id'), made!.id)
    await shows(t, page.locator('main'), '<img src=x onerror=alert(1)>U+202E', 'hostile text is text')
    await counts(t, page.locator('main img, main script'), 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('are changed, disabled and enabled, with a history that says how', async t => {
    const { page, context, faults } = await open('/suppressions')
    await settle(page)
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    const one = page.getByRole('region', { name: 'Suppression', exact: true })
    await one.getByText('made it').waitFor()
    await page.keyboard.press('e')
    const dialog = page.getByRole('dialog', { name: 'Change the suppression' })
    await dialog.getByText(/it would have hidden/).waitFor()
    t.ok(await dialog.getByRole('button', { name: 'Save' }).isDisabled(), 'nothing has changed')
    await dialog.getByLabel('Reason').fill('a scanner of ours')
    await dialog.getByLabel('For').selectOption('7')
    await dialog.getByRole('button', { name: 'Save' }).click()
    await one.locator('.history ins').filter({ hasText: 'a scanner of ours' }).waitFor()
    await shows(t, one.locator('.history'), /expires at/)
    await page.keyboard.press('d')
    await one.locator('h2').getByText('disabled').waitFor()
    await one.locator('.history li').nth(2).waitFor()
    await one.getByRole('button', { name: 'Enable' }).click()
    await one.locator('h2').getByText('active').waitFor()
    const { items: [now] } = await kept()
    t.match(now, { reason: 'a scanner of ours', enabled: true })
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('say what they have hidden, and lead to it', async t => {
    const { items: [made] } = await kept()
    await watch.send(watch.log.map(event => JSON.parse(JSON.stringify(event).replaceAll('web-7d4b9c6f5-x2x9q', 'web-of-another-day')) as { time: string }))
    await watch.api(`/detections/${ESCAPE}/runs`, { scheduled_time: '2026-03-10T12:00:00Z' })
    await watch.until(kept, ({ items }) => items[0]!.hit_count > 0)
    const { page, context, faults } = await open('/suppressions')
    await settle(page)
    await page.locator('td.col-hits a').click()
    await page.getByRole('heading', { level: 1, name: 'Findings' }).waitFor()
    t.equal(new URL(page.url()).searchParams.get('suppressed_by'), made!.id)
    await page.getByText('suppressed', { exact: true }).first().waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`have nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { items: [made] } = await kept()
      const { page, context, faults } = await open('/suppressions', look)
      for (const [name, path] of [['suppressions', '/suppressions'], ['suppression', `/suppressions?id=${made!.id}`]] as const) {
        await page.goto(path)
        await settle(page)
        await shoot(page, `${name}-${look.theme}-${look.width}`)
        t.strictSame(await seriousFaults(page), [])
        t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      }
      await page.keyboard.press('e')
      await page.getByRole('dialog').getByText(/it would have hidden/).waitFor()
      await shoot(page, `suppression-dialog-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('are for a viewer to look at, and for others to end for good', async t => {
    const { items: [made] } = await kept()
    const viewer = await open(`/suppressions?id=${made!.id}`, { key: VIEWER_KEY })
    await settle(viewer.page)
    for (const name of [/^New/, /^Change/, /^Disable/, /^Delete/]) await counts(t, viewer.page.getByRole('button', { name }), 0, String(name))
    await viewer.context.close()

    const { page, context, faults } = await open(`/suppressions?id=${made!.id}`)
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog', { name: 'Delete the suppression' }).getByRole('button', { name: 'Delete' }).click()
    await page.getByText('Nothing is suppressed').waitFor()
    await page.getByLabel('State').selectOption('deleted')
    await page.locator('td.col-condition a').waitFor()
    await page.getByText('deleted it').waitFor()
    await counts(t, page.getByRole('button', { name: 'Change' }), 0)
    t.strictSame((await kept()).items, [])
    t.strictSame(faults, [])
    await context.close()
  })
})
