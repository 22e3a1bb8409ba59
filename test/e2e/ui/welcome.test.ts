import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { TOKEN, VIEWER_KEY } from '../../fixtures/app.js'
import { counts, LOOKS, openBrowser, openEmptyWatch, seriousFaults, settle, shoot, shows } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(600_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('The welcome of the first start', { skip }, async t => {
  const watch = await openEmptyWatch(t)
  const { open } = await openBrowser(t, watch)

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/', look)
      await page.getByText('Waiting for the first event').waitFor()
      await shoot(page, `welcome-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('gives way by itself when the first event has come, by the line that it shows', async t => {
    const { page, context, faults } = await open('/', { key: VIEWER_KEY })
    const curl = await page.getByRole('region', { name: 'An event by hand' }).last().innerText()
    await counts(t, page.getByRole('button', { name: 'Send the sample' }), 0, 'a viewer may not')
    const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} -sS`], { env: { ...process.env, HEC_TOKEN: TOKEN } })
    t.match(JSON.parse(stdout), { code: 0 })
    await page.locator('.answer').waitFor()
    await counts(t, page.getByText('Waiting for the first event'), 0)
    t.strictSame(faults, [])
    await context.close()
  })
})

t.test('The sample of the first start', { skip }, async t => {
  const watch = await openEmptyWatch(t)
  const { open } = await openBrowser(t, watch)

  await t.test('is sent by a key, and leads to what was found of it', async t => {
    const { page, context, faults } = await open('/')
    await page.getByRole('button', { name: 'Send the sample' }).waitFor()
    await page.keyboard.press('s')
    await page.waitForURL(/\/findings\/[^/]+$/)
    await settle(page)
    await shows(t, page.locator('main'), /on cluster hecate-sample/)
    await shoot(page, 'welcome-sample-light-1280')
    t.match(await watch.api('/findings'), { items: [{ result: { cluster_name: 'hecate-sample' } }] })
    await page.goto('/')
    await page.locator('.answer').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })
})
