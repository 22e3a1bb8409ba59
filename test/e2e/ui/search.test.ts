import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadFile } from '../../../src/detect/load.js'
import { counts, LOOKS, openBrowser, seriousFaults, settle, shoot, shows, showsAll, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e'
const RANGE = 'earliest=1773140400&latest=1773144000' // 11:00 to 12:00, when the escape was

t.test('Search', { skip }, async t => {
  const watch = await startWatch(t)
  await watch.send([{ time: '2026-03-10T12:00:30Z', node_name: HOSTILE }])
  const { open } = await openBrowser(t, watch)

  await t.test('runs what is written by Ctrl+Enter, and the address leads to the same rows', async t => {
    const { page, context, faults } = await open('/search')
    await page.getByLabel('SPL').fill('process_name=* | stats count values(process) AS process BY process_name')
    await page.getByLabel('SPL').press('Control+Enter')
    await page.getByRole('region', { name: 'Rows' }).waitFor()

    t.match(page.url(), /search=process_name%3D\*/)
    await shows(t, page.locator('.search-stats'), /\d+ rows? of [\d,]+ scanned events in /)
    const rows = await page.getByRole('region', { name: 'Rows' }).locator('tbody tr').count()
    await page.reload()
    await page.getByRole('region', { name: 'Rows' }).waitFor()
    await counts(t, page.getByRole('region', { name: 'Rows' }).locator('tbody tr'), rows)
    t.equal(await page.getByLabel('SPL').inputValue(), 'process_name=* | stats count values(process) AS process BY process_name')
    t.equal(await page.locator('td.right.col-count').first().evaluate(cell => getComputedStyle(cell).textAlign), 'right')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('colours what is written by the server\'s lexer, and shows the caret under what is wrong', async t => {
    const { page, context, faults } = await open('/search')
    await page.getByLabel('SPL').fill('process_name="sh"\n| stast count BY pod_name')
    await page.locator('.spl-problem').waitFor()

    await showsAll(t, page.locator('.spl-colours .spl-command'), ['stast'])
    await showsAll(t, page.locator('.spl-colours .spl-wrong'), ['stast'])
    t.equal(await page.locator('.spl-problem pre').textContent(), '| stast count BY pod_name\n  ^')
    await shows(t, page.locator('.spl-problem p'), 'Line 2, column 3: The command "stast" isn\'t supported; the nearest name that is: "stats"')
    const [above, below] = [await page.locator('.spl-colours').boundingBox(), await page.getByLabel('SPL').boundingBox()]
    t.strictSame([above?.x, above?.y, above?.width, above?.height], [below?.x, below?.y, below?.width, below?.height], 'the colours lie on the text')
    await shoot(page, 'search-error-light-1280')
    t.strictSame(await seriousFaults(page), [])
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows events as JSON to read, and their time as bars that narrow it', async t => {
    const { page, context, faults } = await open(`/search?search=*&${RANGE}`)
    await page.getByRole('region', { name: 'Rows' }).waitFor()
    const bars = page.getByRole('img', { name: /that meet the first condition/ })
    await bars.waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Event' }).waitFor()
    t.match(JSON.parse(await page.getByRole('region', { name: 'the event' }).innerText()), { time: /^2026-03-10T11:/ })
    await shoot(page, 'search-event-light-1280')
    await page.keyboard.press('Escape')

    const labelBefore = await bars.getAttribute('aria-label')
    const box = (await bars.locator('.u-over').boundingBox())!
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.75, box.y + 40, { steps: 4 })
    await page.mouse.up()
    await page.waitForURL(/earliest=1773142[12]\d\d&latest=1773143[01]\d\d/)
    await page.waitForFunction(() => document.querySelector('.search-stats') !== null)
    await page.getByRole('textbox', { name: 'From' }).waitFor()
    t.match(await page.getByRole('textbox', { name: 'From' }).inputValue(), /^1773142[12]\d\d$/)

    // The bars of the stretch before stay until the rows of this one are here.
    await page.waitForFunction(before => (document.querySelector('[role=img][aria-label*="that meet the first condition"]')?.getAttribute('aria-label') ?? before) !== before, labelBefore)
    await bars.locator('.u-over').click()
    await page.waitForURL(({ searchParams }) => [1, 2, 5, 10, 30].includes(Number(searchParams.get('latest')) - Number(searchParams.get('earliest'))))
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows what comes from events as text', async t => {
    const { page, context, faults } = await open(`/search?${new URLSearchParams({ search: 'node_name=* | stats count BY node_name' })}`)
    await page.getByRole('region', { name: 'Rows' }).waitFor()
    await page.getByText('<script>alert(2)</script>').waitFor()
    await counts(t, page.locator('main img, main script'), 0)
    await counts(t, page.locator('.unseen[title="U+202E"]'), 1, 'what turns the direction of writing is shown')
    t.strictSame(faults, [])
    await context.close()

    const link = await open(`/search?${new URLSearchParams({ search: `"${HOSTILE}`, view: HOSTILE, earliest: HOSTILE })}`)
    await link.page.locator('.error-state, .spl-problem').first().waitFor()
    await counts(t, link.page.locator('main img, main script'), 0)
    t.strictSame(link.faults, [])
    await link.context.close()
  })

  await t.test('says plainly that rows are cut, and gives more', async t => {
    const { page, context, faults } = await open(null)
    await page.route('**/api/v1/search', async route => {
      const body = route.request().postDataJSON() as { limit: number }
      return route.fallback({ postData: JSON.stringify({ ...body, limit: body.limit === 1_000 ? 3 : body.limit }) })
    })
    await page.goto('/search?search=*')
    await page.getByText('There are more rows: only the first 3 are here.').waitFor()
    await page.getByRole('button', { name: 'Show up to 10,000' }).click()
    await page.waitForURL(/limit=10000/)
    await page.getByText('There are more rows').waitFor({ state: 'detached' })
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('can be cancelled', async t => {
    const { page, context, faults } = await open('/search')
    await page.route('**/api/v1/search', () => {}) // never answered
    await page.getByLabel('SPL').fill('*')
    await page.getByRole('button', { name: /^Run/ }).click()
    await page.getByText('Searching…').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('The search was cancelled').waitFor()
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('becomes a job where it takes long, which is forgotten once its rows are here', async t => {
    const { page, context, faults } = await open('/search')
    await page.route('**/api/v1/search', () => {}) // takes for ever
    await page.getByLabel('SPL').fill('* | stats count')
    await page.getByLabel('SPL').press('Control+Enter')
    await page.getByRole('button', { name: 'Run it as a job, with progress' }).click()
    await page.getByRole('region', { name: 'Rows' }).waitFor()
    await shows(t, page.getByRole('region', { name: 'Rows' }), /count\s+2\d\d/)
    await watch.until(() => watch.api<{ items: unknown[] }>('/search/jobs'), ({ items }) => items.length === 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('keeps the searches of this browser, and forgets them', async t => {
    const { page, context, faults } = await open('/search?search=index%3Dmain')
    await page.locator('.search-stats').waitFor()
    await page.goto('/search')
    await page.getByRole('button', { name: 'Recent' }).click()
    await page.getByRole('dialog').getByRole('button', { name: /index=main/ }).click()
    await page.waitForURL(/search=index%3Dmain/)
    await page.locator('.search-stats').waitFor()
    await page.getByRole('button', { name: 'Recent' }).click()
    await page.getByRole('button', { name: 'Forget them' }).click()
    await page.getByText('None yet').waitFor()
    t.equal(await page.evaluate(() => localStorage.getItem('hecate.searches')), '[]')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('saves a search as a detection file that Hecate takes', async t => {
    const search = 'process_name="nsenter" note="a\\"b: c"\n\n| stats count min(_time) AS firstTime BY pod_name'
    const { page, context, faults } = await open(`/search?${new URLSearchParams({ search })}`)
    await page.getByRole('button', { name: 'Save as detection…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Save as detection' })
    await dialog.getByLabel('Name').fill('Café: "nsenter" # in a pod')
    await dialog.getByLabel('Description').fill('Says:\n- one\u2028 thing')
    await dialog.getByLabel(/^Message/).fill('nsenter ran in $pod_name$')
    await dialog.getByLabel('ATT&CK techniques').fill('T1611')
    await shoot(page, 'search-save-light-1280')
    t.strictSame(await seriousFaults(page), [])
    const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Download the file' }).click()])

    t.equal(download.suggestedFilename(), 'caf____nsenter____in_a_pod.yml')
    const dir = mkdtempSync(join(tmpdir(), 'hecate-search-'))
    t.teardown(() => rmSync(dir, { recursive: true }))
    const file = join(dir, download.suggestedFilename())
    writeFileSync(file, readFileSync(await download.path()))
    t.match(loadFile(file), [{
      id: 'caf____nsenter____in_a_pod', errors: [], warnings: [],
      detection: { name: 'Café: "nsenter" # in a pod', description: 'Says:\n- one\u2028 thing', type: 'TTP', search, mitre_attack: ['T1611'], schedule: { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }, risk: { message: 'nsenter ran in $pod_name$', risk_objects: [{ field: 'pod_name', type: 'system', score: 50 }] } },
    }])
    t.strictSame(faults, [])
    await context.close()
  })

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious: ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open(`/search?${new URLSearchParams({ search: '`cisco_isovalent_process_exec` process_name=* NOT node_name="x" ```why```\n| bin _time span=10m\n| stats count max(_time) AS last values(process) AS process BY _time process_name\n| where count > 0 AND like(process_name, "%")' })}`, look)
      await page.getByRole('region', { name: 'Rows' }).waitFor()
      await page.getByRole('img', { name: /that meet the first condition/ }).waitFor()
      await settle(page)
      await shoot(page, `search-table-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      await page.goto(`/search?search=*&${RANGE}`)
      await page.getByRole('region', { name: 'Rows' }).waitFor()
      await page.getByRole('img', { name: /that meet the first condition/ }).waitFor()
      await shoot(page, `search-events-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
