import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { VIEWER_KEY } from '../../fixtures/app.js'
import { counts, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(600_000) // a browser on a machine that may be busy

const skip = withoutChromium()
const HOSTILE = '<img src=x onerror=alert(1)>\u202e'

interface Sources { readonly items: { readonly node_name: string | null, readonly lost_events: number, readonly lacking: unknown[] }[] }

t.test('Sources', { skip }, async t => {
  const watch = await startWatch(t, [], config => ({ ...config, routes: [{ from: 'from-elsewhere', key: 'alert', to: 'cisco:isovalent' }] }))
  const { api, clock, send, until } = watch
  const time = new Date(clock.now() - 45_000).toISOString()
  await send([{ ...watch.log[0]!, time, node_name: HOSTILE }])
  await send([{ time, node_name: 'node-that-loses', rate_limit_info: { number_of_dropped_process_events: '12' } } as { time: string }])
  clock.set('2026-03-10T12:02:00Z')
  await until(() => api<Sources>('/sources'), ({ items }) => items.some(one => one.node_name === HOSTILE) && items.some(one => one.lost_events === 12))
  const { open } = await openBrowser(t, watch)

  await t.test('says who sends, the silent first, how late it arrives and what is lost, all as text', async t => {
    const { page, context, faults } = await open('/sources')
    await settle(page)
    const rows = page.getByRole('region', { name: 'Sources' }).locator('tbody tr')
    await shows(t, rows.first(), /node-that-went-away[^]*silent/)
    await shows(t, rows.filter({ hasText: 'node-that-loses' }), /sends[^]*45 s \/ 45 s \/ 45 s[^]*12/)
    await counts(t, rows.filter({ hasText: '<img src=x onerror=alert(1)>U+202E' }), 1)

    await shows(t, page.getByRole('region', { name: 'Routing' }).last(), /from-elsewhere[^]*alert[^]*cisco:isovalent[^]*the configuration: routes[^]*process_exec[^]*cisco:isovalent:processExec[^]*built in/)

    await page.getByLabel('State').selectOption('silent')
    await page.waitForURL(url => url.searchParams.get('silent') === 'true')
    await settle(page)
    await counts(t, rows, 1)
    await page.getByLabel('Node').fill('no-such-node')
    await page.getByText('No source is like that').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('makes a token by keys, shows its secret once, and fills it in where it is needed', async t => {
    const { page, context, faults } = await open('/sources')
    await settle(page)
    const tokens = page.getByRole('region', { name: 'HEC tokens' }).last()
    await shows(t, tokens.locator('tr', { hasText: 'test' }), /the configuration: hec\.tokens/)
    await counts(t, page.getByRole('button', { name: 'Remove test' }), 0)

    await page.keyboard.press('n')
    await page.getByLabel('Name, such as').fill('from-the-page')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'The token is made' })
    const secret = (await dialog.locator('pre').innerText()).trim()
    t.match(secret, /^[0-9a-f-]{36}$/)
    await shoot(page, 'sources-token-light-1280')
    await page.keyboard.press('Escape')

    const curl = await page.getByRole('region', { name: 'An event by hand' }).last().innerText()
    t.ok(curl.includes(secret) && curl.includes(`${watch.url}/services/collector/event`), 'the line has the real address and the secret')
    const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} -sS`])
    t.match(JSON.parse(stdout), { code: 0 }, 'and it works as it stands')
    await page.getByLabel('OpenTelemetry').check({ force: true })
    await shows(t, page.getByRole('region', { name: /^Configuration of the Collector/ }).last(), `token: ${secret}`)
    t.match(page.url(), /forwarder=otel/)

    await page.getByRole('button', { name: 'Disable from-the-page' }).click()
    await page.getByRole('button', { name: 'Enable from-the-page' }).waitFor()
    t.match(await api('/tokens/from-the-page'), { enabled: false, events: 1, sourcetype: 'cisco:isovalent' })
    await page.reload()
    await settle(page)
    t.notOk((await page.content()).includes(secret), 'it is shown once')

    await page.getByRole('button', { name: 'Remove from-the-page' }).click()
    await page.getByRole('dialog', { name: 'Remove a HEC token' }).getByRole('button', { name: 'Remove', exact: true }).click()
    await page.getByText('Removed: token from-the-page').waitFor()
    t.notOk((await api<{ items: { name: string }[] }>('/tokens')).items.some(({ name }) => name === 'from-the-page'))
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('asks for no tokens on behalf of those who may not see them', async t => {
    const { page, context, faults } = await open(null, { key: VIEWER_KEY })
    const asked: string[] = []
    page.on('request', request => asked.push(request.url()))
    await page.goto('/sources')
    await settle(page)
    await page.getByText('An admin sees and makes them').waitFor()
    t.notOk(asked.some(url => url.includes('/tokens')))
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/sources?forwarder=fluent-bit', look)
      await settle(page)
      await shoot(page, `sources-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
