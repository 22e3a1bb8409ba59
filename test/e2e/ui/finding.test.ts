import t from 'tap'
import type { FindingHistoryEntry } from '../../../src/finding.js'
import type { Finding } from '../../../src/finding.js'
import { ESCAPE, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('The page of a finding', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)
  const [finding] = (await watch.api<{ items: Finding[] }>(`/findings?detection=${ESCAPE}`)).items
  const path = `/findings/${finding!.id}`

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious, ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open(path, look)
      await page.locator('.tree').waitFor()
      await page.getByRole('region', { name: 'Seen before', exact: true }).locator('.seen').waitFor()
      await settle(page)
      await shoot(page, `finding-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('shows the commands in their order, who started whom, and where the border to the host was crossed', async t => {
    const { page, context, faults } = await open(path)
    const commands = page.getByRole('region', { name: 'What was done' }).locator('li code')
    await page.locator('.tree').waitFor()
    const said = await commands.allInnerTexts()
    t.equal(said[0], '/bin/ls -la /')
    t.equal(said.at(-1), '/usr/bin/nsenter --target 1 --mount --uts --ipc --net --pid -- bash')
    t.equal(said.length, 7)
    const tree = page.locator('.tree')
    await tree.locator('li', { hasText: '/bin/sh' }).locator('li', { hasText: 'nsenter' }).first().waitFor() // below the shell
    await shows(t, tree.locator('li.crosses > .border-mark').first(), '▚ from the container to the host')
    await page.getByRole('region', { name: /^Evidence/ }).locator('summary').first().click()
    await page.getByRole('region', { name: /^Event \d+/ }).first().getByText('"process_exec"').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('says how often its command lines and risk objects were seen before', async t => {
    const ls = watch.log.find(event => JSON.stringify(event).includes('"arguments":"-la /"'))!
    await watch.send(['2026-02-20T10:00:00Z', '2026-03-05T10:00:00Z'].map((time, n) => ({ ...ls, time, node_name: `node-of-old-${n}` })))
    const { page, context, faults } = await open(path)
    const region = page.getByRole('region', { name: 'Seen before', exact: true })
    const row = region.locator('.seen li', { hasText: '/bin/ls -la /' })
    await row.waitFor()
    await shows(t, row.locator('p').last(), '2 events on 1 pod and 2 nodes, from 2026-02-20 10:00 to 2026-03-05 10:00')
    await shows(t, region.locator('.seen li', { hasText: '/usr/bin/nsenter --target 1' }).locator('p').last(), 'not in that time')
    const [object] = finding!.risk.objects
    await region.locator('p', { hasText: object!.value }).filter({ hasText: /had (no|\d+) findings? before/ }).first().waitFor()
    await region.scrollIntoViewIfNeeded()
    await shoot(page, 'finding-seen-before-light-1280')
    t.strictSame(await seriousFaults(page), [])
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('takes a comment and a disposition, and shows both in the history', async t => {
    const { page, context, faults } = await open(path)
    const history = page.getByRole('region', { name: 'History' })
    await history.getByLabel('Comment').fill('looked at it')
    await history.getByRole('button', { name: 'Comment' }).click()
    await history.locator('.comment', { hasText: 'looked at it' }).waitFor()
    await page.keyboard.press('Escape')
    await page.locator('h1').click()
    await page.keyboard.press('e')
    const close = page.getByRole('dialog', { name: 'Close 1 finding' })
    await close.getByLabel('true positive').check()
    await close.getByLabel('Comment').fill('it was an attack')
    await close.getByRole('button', { name: 'Close', exact: true }).last().click()
    await close.waitFor({ state: 'detached' })
    await history.locator('.comment', { hasText: 'it was an attack' }).waitFor()
    const { items } = await watch.api<{ items: FindingHistoryEntry[] }>(`${path}/history`)
    t.match(items[0], { kind: 'change', by: 'ada', after: { status: 'closed', disposition: 'true_positive' }, comment: 'it was an attack' })
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows of a revision what differs from the one before', async t => {
    const late = JSON.parse(JSON.stringify(watch.log.find(event => JSON.stringify(event).includes('"arguments":"-la /"')))
      .replaceAll('-la /', '-la /root/.ssh')) as { time: string }
    await watch.send([late])
    await watch.api(`/detections/${ESCAPE}/runs`, { scheduled_time: '2026-03-10T12:00:00Z' })
    const { page, context, faults } = await open(path)
    const differences = page.getByRole('region', { name: 'Differences' })
    await differences.locator('tr', { hasText: 'process' }).locator('.added', { hasText: '/bin/ls -la /root/.ssh' }).waitFor()
    await differences.locator('tr', { hasText: 'total_events' }).waitFor()
    await page.locator('.tree').waitFor()
    await shoot(page, 'finding-revised-light-1280')
    t.strictSame(await seriousFaults(page), [])
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('says that it has changed, and shows what it is now when it is asked to', async t => {
    const { page, context, faults } = await open(path)
    await page.locator('.tree').waitFor()
    await page.waitForTimeout(500)
    await watch.api(path, { owner: 'grace' }, 'PATCH')
    await page.getByRole('button', { name: 'Show it as it is now' }).click()
    await page.getByRole('region', { name: 'Facts' }).getByText('grace').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })
})
