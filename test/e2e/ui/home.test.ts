import t from 'tap'
import type { CoverageLine, PageOf } from '../../../src/ui/page/api-types.js'
import { ANALYST_KEY } from '../../fixtures/app.js'
import { counts, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(600_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('The page', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)

  await t.test('asks for a key, says when it knows it not, and shows home to one that it knows', async t => {
    const { page, context, faults } = await open('/', { key: null })
    await page.getByLabel('API key').fill('no-such-key')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').filter({ hasText: 'Hecate knows no such key.' }).waitFor()
    await page.getByLabel('API key').fill('an-admin-key')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()

    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: sign in, ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/', { ...look, key: null })
      await page.getByLabel('API key').fill('no-such-key')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByRole('alert').waitFor()
      await shoot(page, `login-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('draws the coverage of detections with gaps first', async t => {
    const { page, context, faults } = await open(null, { key: ANALYST_KEY })
    await page.route(/\/v1\/coverage\?/, async route => { // nothing of the watch has a gap
      const coverage = await watch.api<PageOf<CoverageLine>>('/coverage?limit=1000')
      const last = coverage.items.findLast(({ totals }) => totals.slots > 0)!
      await route.fulfill({ json: { ...coverage, items: coverage.items.map(line => line === last ? { ...line, totals: { ...line.totals, gaps: { ...line.totals.gaps, failed: { count: 1, seconds: 3600 } } } } : line) } })
    })
    await page.goto('/')
    await settle(page)
    await shows(t, page.locator('.strips a').first(), 'hecate___shell_in_a_container')
    await shows(t, page.locator('.answer'), /1 detection has gaps/)
    await page.unrouteAll({ behavior: 'ignoreErrors' }) // the page polls
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('says on top whether all is watched and what was found', async t => {
    const { page, context, faults } = await open('/')
    await settle(page)
    const answer = await page.locator('.answer').innerText()
    t.match(answer, /We are watching, but not everything: 1 source is silent/)
    t.match(answer, /findings? (is|are) open/)
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: home, ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/', look)
      await settle(page)
      await shoot(page, `home-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('is painted within half a second on localhost', async t => {
    const { page, context, faults } = await open(null, { clock: 'real' })
    const paints: number[] = []
    for (let load = 0; load < 7; load++) {
      await page.goto('/')
      await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()
      paints.push(await (await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime)).jsonValue() ?? NaN)
    }
    t.comment(`first paints: ${paints.map(ms => `${ms.toFixed(0)} ms`).join(', ')}`)
    t.ok(Math.min(...paints) < 500, 'where others leave the machine alone for a moment')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows the keys, goes where they say, and keeps the theme that was chosen', async t => {
    const { page, context, faults } = await open('/')
    await settle(page)
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await counts(t, page.getByRole('dialog'), 0)
    await page.getByLabel('Theme').selectOption('dark')
    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()
    t.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('API key').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })
})
