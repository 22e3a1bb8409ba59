import t from 'tap'
import { LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(600_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('The documentation of the API', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)
  const { paths } = await (await fetch(`${watch.url}/openapi.json`)).json() as { paths: Record<string, Record<string, { operationId: string }>> }
  const ids = Object.values(paths).flatMap(methods => Object.values(methods).map(({ operationId }) => operationId))

  await t.test('has every call of the document, and finds those that a question is about', async t => {
    const { page, context, faults } = await open('/docs')
    await settle(page)
    t.strictSame(new Set(await page.locator('details.call').evaluateAll(calls => calls.map(call => call.id))), new Set(ids))

    await page.keyboard.press('/')
    await page.keyboard.type('post suppressions preview')
    await page.getByRole('status').filter({ hasText: '1 call' }).waitFor()
    t.match(page.url(), /q=post\+suppressions\+preview/)

    await page.getByLabel('Search').fill('nothing is called that')
    await page.getByText('No call is about that').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows of a call who may do it, what it takes, what it answers, and a line to try it', async t => {
    const { page, context, faults } = await open('/docs?call=patchFindingsId')
    await settle(page)
    const call = page.locator('#patchFindingsId')
    await shows(t, call.locator('summary').first(), /PATCH\s+\/api\/v1\/findings\/\{id\}[^]*analyst/)
    await shows(t, call.getByRole('region', { name: /^curl/ }), new RegExp(`^curl -X PATCH -H "Authorization: Bearer \\$KEY".*-d '\\{.*\\}' '${watch.url}/api/v1/findings/`))
    await shows(t, call.locator('dt', { hasText: 'if-match' }), /string/)
    await call.getByRole('heading', { name: /^Request body/ }).waitFor()
    await call.getByRole('heading', { name: /^200/ }).waitFor()

    await call.locator('summary').first().click()
    await page.waitForURL(url => !url.searchParams.has('call'))
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/docs?q=suppressions&call=postSuppressions', look)
      await settle(page)
      await shoot(page, `docs-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
