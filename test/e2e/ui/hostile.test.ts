import type { Page } from 'playwright-core'
import t from 'tap'
import { stringify } from 'yaml'
import type { Finding } from '../../../src/finding.js'
import { ESCAPE, openBrowser, settle, shoot, shows, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

/** What would do something wherever text became HTML, an attribute, a script, a style or a link. */
const SCRIPTS = '<img src=x onerror=alert(1)><script>alert(2)</script>"\'><svg/onload=alert(3)>javascript:alert(4)//{{alert(6)}}</style></textarea>'

/** Turns the direction of writing, so that what follows looks like something else. */
const BIDI = '\u202egnissim\u2066\u200b'

/** A detection whose author is no friend: what a file may say, it says. */
const DETECTION = stringify({
  name: `Evil ${SCRIPTS}`,
  id: '11111111-2222-4333-8444-555555555555',
  version: 1,
  status: 'production',
  type: 'TTP',
  description: SCRIPTS,
  search: 'index=main process_name=nsenter | stats count values(process) AS process BY pod_name',
  how_to_implement: SCRIPTS,
  known_false_positives: SCRIPTS,
  references: [SCRIPTS],
  drilldown_searches: [{ name: SCRIPTS, search: `index=main "${SCRIPTS.replace(/["\\]/g, '\\$&')}" pod_name="$pod_name$"`, earliest_offset: '$info_min_time$', latest_offset: '$info_max_time$' }],
  rba: { message: `${SCRIPTS} $process$`, risk_objects: [{ field: 'pod_name', type: 'system', score: 50 }], threat_objects: [{ field: 'process', type: 'process' }] },
  tags: { analytic_story: [SCRIPTS], asset_type: 'Endpoint', mitre_attack_id: ['T1611'], product: ['Hecate'], security_domain: 'endpoint' },
})

/** A copy of an event in which every text that a detection does not ask for is hostile. */
function hostile (value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map(one => hostile(one))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, hostile(one, name)]))
  const isNeeded = /^(time|start_time|exec_id|parent_exec_id|flags|binary)$/.test(key)
  return typeof value === 'string' && !isNeeded ? key === 'arguments' ? `${value} ${SCRIPTS}${BIDI}` : `${value}${SCRIPTS}` : value
}

/** No element of hostile text, and all of it as text. */
async function injected (page: Page): Promise<string[]> {
  return page.evaluate(() => [...document.querySelectorAll('img, iframe, object, embed, svg[onload], script:not([src]):not([type=importmap]), [onerror], [onload], a[href^="javascript:" i], [style*="expression"]')].map(one => one.outerHTML))
}

t.test('Hostile text of events, findings and people', { skip }, async t => {
  const watch = await startWatch(t, [DETECTION])
  const { open } = await openBrowser(t, watch)
  await watch.send(watch.log.map(event => hostile(event) as { time: string }))
  await watch.api(`/detections/${ESCAPE}/runs`, { scheduled_time: '2026-03-10T12:00:00Z' })
  const { items } = await watch.api<{ items: Finding[] }>('/findings?limit=1000')
  const finding = items.find(({ detection, risk }) => detection.id === ESCAPE && risk.message?.includes('<script>'))!
  const path = `/findings/${finding.id}`
  const evil = (await watch.api<{ items: { id: string, name: string }[] }>('/detections?limit=1000')).items.find(({ name }) => name.startsWith('Evil'))!
  await watch.api(`/detections/${encodeURIComponent(evil.id)}/runs`, { scheduled_time: '2026-03-10T12:00:00Z' })
  const [evilFinding] = (await watch.api<{ items: Finding[] }>(`/findings?${new URLSearchParams({ detection: evil.id })}`)).items
  await watch.api(path, { owner: `mallory${SCRIPTS}`.slice(0, 200), comment: `${SCRIPTS}${BIDI}` }, 'PATCH')
  await watch.api('/suppressions', { condition: `pod_name="${SCRIPTS.replace(/["\\]/g, '\\$&')}"`, reason: SCRIPTS })

  await t.test('is text in the finding that it led to, with what can’t be seen shown', async t => {
    const { page, context, faults } = await open(path)
    await page.locator('.tree').waitFor()
    await settle(page)
    for (const summary of await page.locator('.events summary').all()) await summary.click()
    await shoot(page, 'hostile-finding-light-1280')
    t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
    const text = await page.locator('main').innerText()
    for (const part of ['<img src=x onerror=alert(1)>', '<script>alert(2)</script>', '<svg/onload=alert(3)>']) t.ok(text.includes(part), part)
    t.ok(text.includes('U+202E') && text.includes('U+2066') && text.includes('U+200B'))
    t.notOk(text.includes('\u202e'), 'nothing turns the direction of writing')
    await shows(t, page.locator('.comment').first(), '<svg/onload=alert(3)>')
    t.strictSame(await injected(page), [])
    for (const key of ['e', 's']) {
      await page.keyboard.press(key)
      await page.getByRole('dialog').waitFor()
      if (key === 's') await page.getByRole('dialog').getByText(/it would have hidden [1-9]/).waitFor()
      t.strictSame(await injected(page), [])
      await page.keyboard.press('Escape')
    }
    t.strictSame(faults, [])
    await context.close()
  })

  for (const [name, address] of [['home', '/'], ['detection', `/findings/${evilFinding!.id}`], ['findings', '/findings'], ['another', `/findings?${new URLSearchParams({ risk_object: SCRIPTS, technique: SCRIPTS.slice(0, 90), at: SCRIPTS })}`], ['nothing', `/findings/${encodeURIComponent(SCRIPTS.slice(0, 80))}`]] as const) {
    await t.test(`is text: ${name}`, async t => {
      const { page, context, faults } = await open(address)
      await settle(page)
      if (name === 'detection') {
        await page.locator('.tree').waitFor()
        await shows(t, page.locator('h1'), '<script>alert(2)</script>')
      }
      if (name === 'findings') await shows(t, page.locator('main'), '<img src=x onerror=alert(1)>')
      await shoot(page, `hostile-${name}-light-1280`)
      t.strictSame(await injected(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }
})
