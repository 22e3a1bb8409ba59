import t from 'tap'
import type { RiskObject } from '../../../src/ui/page/api-types.js'
import { counts, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, showsAll, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('Risk objects', { skip }, async t => {
  const watch = await startWatch(t, [], config => ({ ...config, risk: { ...config.risk, entity: [{ type: 'system', by: ['cluster_name'] }] } }))
  const { open } = await openBrowser(t, watch)
  const { items } = await watch.api<{ items: RiskObject[] }>('/risk-objects')
  const top = items[0]!
  const explained = `/risk?${new URLSearchParams({ type: top.type, key: top.key })}`
  const { items: postings } = await watch.api<{ items: { finding: string, detection: string }[] }>(`/risk-objects/explain?${new URLSearchParams({ type: top.type, key: top.key })}`)

  await t.test('are listed by score, and filtered by type, score, value and time, all kept in the address', async t => {
    const { page, context, faults } = await open('/risk')
    await settle(page)
    await showsAll(t, page.locator('td.col-object a'), items.map(({ value }) => value))
    await page.getByLabel('Score at least').fill(String(top.score + 1))
    await page.getByText('No risk in this range').waitFor()
    t.match(page.url(), /min_score=/)
    await page.getByLabel('Score at least').fill(String(top.score))
    await page.locator('td.col-object a').first().waitFor()
    await page.getByLabel('Type').selectOption('user')
    await page.waitForURL(/object_type=user/)
    await page.getByLabel('Type').selectOption(top.type)
    await page.getByLabel('Value', { exact: true }).fill(top.value)
    await page.waitForURL(/value=/)
    await page.locator('td.col-object a').first().waitFor()
    await showsAll(t, page.locator('td.col-object a'), [top.value])
    await page.locator('.time-range select').selectOption({ label: 'Last 15 minutes' })
    await page.waitForURL(/earliest=-15m/)
    await page.goBack()
    await page.waitForURL(url => !url.searchParams.has('earliest'))
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('are explained by posting, with the key beside the value, and lead to their findings', async t => {
    const { page, context, faults } = await open('/risk')
    await settle(page)
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.waitForURL(url => url.searchParams.get('key') === top.key)
    const explanation = page.getByRole('region', { name: 'Explanation' })
    await explanation.getByRole('region', { name: 'Postings' }).waitFor()
    const text = await explanation.innerText()
    t.ok(text.includes(top.value))
    t.not(top.key, top.value)
    t.ok(text.includes(top.key), 'the qualified key')
    for (const technique of top.techniques) t.ok(text.includes(technique), technique)
    for (const tactic of top.tactics) t.ok(text.includes(tactic.replaceAll('_', ' ')), tactic)
    t.strictSame(await explanation.locator('td.col-what a').evaluateAll(links => links.map(link => link.getAttribute('href'))), postings.map(({ finding }) => `/findings/${finding}`))
    await explanation.getByRole('img', { name: /posting/ }).waitFor()
    await explanation.getByRole('link', { name: 'Its findings' }).click()
    await page.getByRole('heading', { level: 1, name: 'Findings' }).waitFor()
    t.equal(new URL(page.url()).searchParams.get('risk_object'), top.value)
    await page.getByRole('status').filter({ hasText: /[1-9]\d* finding/ }).waitFor()
    await page.goBack()
    await explanation.waitFor()
    await page.keyboard.press('u')
    await page.waitForURL(url => !url.searchParams.has('key'))
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('show what counts no more when they are asked to', async t => {
    await watch.api(`/findings/${postings[0]!.finding}`, { status: 'closed', disposition: 'false_positive' }, 'PATCH')
    const { page, context, faults } = await open(explained)
    await settle(page)
    const rows = page.getByRole('region', { name: 'Postings' }).locator('tbody tr')
    await counts(t, rows, postings.length - 1)
    await page.getByLabel('with those that count no more').check()
    await page.getByText('false positive', { exact: true }).waitFor()
    await rows.nth(postings.length - 1).waitFor()
    t.match(page.url(), /ended=include/)
    await shows(t, page.locator('tr.ended').first(), /the finding was closed as a false positive/)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('say when scores may be too low', async t => {
    const { page, context, faults } = await open(null)
    await page.route('**/api/v1/risk-objects**', async route => {
      const response = await route.fetch()
      await route.fulfill({ response, json: { ...await response.json() as object, complete: false } })
    })
    await page.goto(explained)
    await page.getByText('Scores may be too low.').nth(1).waitFor() // the list and the explanation come one after the other
    await counts(t, page.getByText('Scores may be too low.'), 2)
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`have nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/risk', look)
      for (const [name, path] of [['risk', '/risk'], ['risk-object', `${explained}&ended=include`]] as const) {
        await page.goto(path)
        await settle(page)
        await shoot(page, `${name}-${look.theme}-${look.width}`)
        t.strictSame(await seriousFaults(page), [])
        t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      }
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
