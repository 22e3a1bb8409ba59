import type { Page } from 'playwright-core'
import t from 'tap'
import type { Finding } from '../../../src/finding.js'
import { VIEWER_KEY } from '../../fixtures/app.js'
import { counts, ESCAPE, LOOKS, openBrowser, seriousFaults, settle, shoot, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

interface List { readonly items: readonly Finding[] }

async function openList (page: Page): Promise<void> {
  await page.getByRole('region', { name: 'Findings' }).locator('tbody tr').first().waitFor()
}

/** Names of the detections of the rows, as they stand. */
const namesOf = (page: Page) => page.locator('td.col-what a').allInnerTexts()

t.test('The list of findings', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)

  for (const look of LOOKS) {
    await t.test(`has nothing that axe takes for serious, ${look.theme}, ${look.width} px`, async t => {
      const { page, context, faults } = await open('/findings', look)
      await openList(page)
      await settle(page)
      await shoot(page, `findings-${look.theme}-${look.width}`)
      t.strictSame(await seriousFaults(page), [])
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is wider than the window')
      t.strictSame(faults, [])
      await context.close()
    })
  }

  await t.test('has its filters in the address: a link leads to the same list, and back leads back', async t => {
    const { page, context, faults } = await open('/findings')
    await openList(page)
    const all = await namesOf(page)
    await page.getByLabel('ATT&CK technique').fill('T1611')
    await page.waitForURL(/technique=T1611/)
    await page.waitForFunction(count => [1, 2, 3].some(n => n < count && document.querySelectorAll('td.col-what a').length === n), all.length)
    const narrowed = await namesOf(page)
    const { items } = await watch.api<List>('/findings?technique=T1611')
    t.strictSame(narrowed, items.map(({ detection }) => detection.name))

    await page.reload()
    await openList(page)
    t.strictSame(await namesOf(page), narrowed)
    t.equal(await page.getByLabel('ATT&CK technique').inputValue(), 'T1611')
    await page.goBack()
    await page.waitForFunction(count => document.querySelectorAll('td.col-what a').length === count, all.length)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('is worked through by keys: down, select, assign some after a preview, close one with a disposition', async t => {
    const { page, context, faults } = await open('/findings')
    await openList(page)
    const { items } = await watch.api<List>('/findings')
    for (const key of ['j', 'x', 'j', 'x', 'a']) await page.keyboard.press(key)
    const assign = page.getByRole('dialog', { name: 'Assign 2 findings' })
    await assign.getByRole('region', { name: 'Preview' }).getByText('2 findings would change').waitFor()
    await shoot(page, 'findings-assign-light-1280')
    t.strictSame(await seriousFaults(page), [])
    t.equal(await page.evaluate(() => document.activeElement instanceof HTMLInputElement), true, 'the owner has the focus')
    t.strictSame((await watch.api<List>('/findings')).items.map(({ owner }) => owner), items.map(({ owner }) => owner), 'nothing has changed yet')
    await assign.getByLabel('Owner').fill('grace')
    await assign.getByRole('button', { name: 'Assign 2' }).click()
    await assign.waitFor({ state: 'detached' })
    await page.locator('tr', { hasText: 'grace' }).nth(1).waitFor()
    t.strictSame((await watch.api<List>('/findings?owner=grace')).items.map(({ id, status }) => [id, status]), items.slice(0, 2).map(({ id }) => [id, 'in_progress']))

    await page.keyboard.press('k')
    await page.keyboard.press('e')
    const close = page.getByRole('dialog', { name: 'Close 1 finding' })
    await close.getByLabel('false positive').check()
    await close.getByLabel('Comment').fill('a build job')
    await close.getByRole('button', { name: 'Close', exact: true }).last().click()
    await close.waitFor({ state: 'detached' })
    await page.locator('tr', { hasText: 'false positive' }).waitFor()
    const closed = await watch.api<Finding>(`/findings/${items[0]!.id}`)
    t.strictSame([closed.status, closed.disposition], ['closed', 'false_positive'])
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('shows what would be done to all that meet the filter, and does it to no other', async t => {
    const { page, context, faults } = await open('/findings?severity=low&severity=high')
    await openList(page)
    const { items } = await watch.api<List>('/findings?severity=low&severity=high')
    await page.keyboard.press('j')
    await page.keyboard.press('x')
    await page.getByRole('button', { name: 'Assign all' }).click()
    const dialog = page.getByRole('dialog', { name: `Assign ${items.length} findings` })
    await dialog.getByLabel('Owner').fill('all-of-them')
    await dialog.getByRole('button', { name: `Assign ${items.length}` }).click()
    await dialog.waitFor({ state: 'detached' })
    await watch.until(() => watch.api<List>('/findings?owner=all-of-them'), ({ items: owned }) => owned.length === items.length)
    t.equal((await watch.api<List>('/findings?severity=informational')).items[0]?.owner, null)
    for (const { id } of items) await watch.api(`/findings/${id}`, { owner: null }, 'PATCH')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('leaves a finding alone that has changed since it was shown, and says what has', async t => {
    const { page, context } = await open('/findings')
    await openList(page)
    const [, , third] = (await watch.api<List>('/findings')).items
    for (const key of ['j', 'j', 'j', 'e']) await page.keyboard.press(key)
    const close = page.getByRole('dialog', { name: 'Close 1 finding' })
    await watch.api(`/findings/${third!.id}`, { owner: 'somebody-else' }, 'PATCH')
    await close.getByLabel('benign').check()
    await close.getByRole('button', { name: 'Close', exact: true }).last().click()
    await close.getByRole('alert').filter({ hasText: 'owner: none → somebody-else' }).waitFor()
    t.equal((await watch.api<Finding>(`/findings/${third!.id}`)).status, third!.status)
    await context.close()
  })

  await t.test('shows before it suppresses what that would have hidden', async t => {
    const { page, context, faults } = await open(`/findings?detection=${ESCAPE}`)
    await openList(page)
    await page.keyboard.press('j')
    await page.keyboard.press('s')
    const dialog = page.getByRole('dialog', { name: 'Suppress findings like this one' })
    await dialog.getByText(/it would have hidden 1/).waitFor()
    await shoot(page, 'findings-suppress-light-1280')
    t.strictSame(await seriousFaults(page), [])
    await dialog.getByLabel('Condition').fill('pod_name="no-such-pod"')
    await dialog.getByText(/it would have hidden 0/).waitFor()
    await dialog.getByLabel('Condition').fill('pod_name=')
    await dialog.getByRole('alert').waitFor()
    await dialog.getByLabel('Condition').fill('pod_name="web-*"')
    await dialog.getByLabel('Reason').fill('maintenance')
    await dialog.getByText(/it would have hidden/).waitFor()
    await dialog.getByRole('button', { name: 'Suppress' }).click()
    await dialog.waitFor({ state: 'detached' })
    const { items } = await watch.api<{ items: { condition: string, detection: string, owner: string, id: string }[] }>('/suppressions')
    t.match(items, [{ condition: 'pod_name="web-*"', detection: ESCAPE, owner: 'ada' }])
    await watch.api(`/suppressions/${items[0]!.id}`, undefined, 'DELETE')
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('tells of new findings without moving rows, and shows them when it is asked to', async t => {
    const { page, context, faults } = await open('/findings')
    await openList(page)
    await page.getByText('● live').waitFor()
    const before = await namesOf(page)
    await watch.send(watch.log.map(event => ({ ...JSON.parse(JSON.stringify(event).replaceAll('web-7d4b9c6f5-x2x9q', 'web-another')), time: event.time }) as { time: string }))
    await watch.api(`/detections/${ESCAPE}/runs`, { scheduled_time: '2026-03-10T12:00:00Z' })
    const pill = page.getByRole('button', { name: /new findings?: show/ })
    await pill.waitFor()
    t.strictSame(await namesOf(page), before)
    await shoot(page, 'findings-pill-light-1280')
    await pill.click()
    await page.getByText('web-another').first().waitFor()
    await counts(t, pill, 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('offers nothing to a viewer that a viewer may not do', async t => {
    const { page, context, faults } = await open('/findings', { key: VIEWER_KEY })
    await openList(page)
    await page.keyboard.press('j')
    await page.keyboard.press('e')
    await counts(t, page.getByRole('dialog'), 0)
    await counts(t, page.getByRole('checkbox'), 0)
    t.strictSame(faults, [])
    await context.close()
  })

  await t.test('scrolls through 100,000 findings, of which only those in sight are in the document', async t => {
    const { page, context, faults } = await open(null)
    const [one] = (await watch.api<List>('/findings')).items
    let count = 1_000
    // The server's own lists over a million are measured by bench:findings; here it is the page that has to keep up.
    await page.route(/\/api\/v1\/findings\?/, async route => {
      const params = new URL(route.request().url()).searchParams
      const from = Number(params.get('cursor') ?? 0)
      const to = Math.min(count, from + Number(params.get('limit')))
      const items = Array.from({ length: to - from }, (_, n) => ({ ...one!, id: `f${from + n}`, time: one!.time - from - n, result: {} }))
      await route.fulfill({ json: { items, next_cursor: to < count ? String(to) : null, ...from === 0 ? { total: count } : {} } })
    })
    const frameMs = async () => {
      await page.goto('/findings')
      await openList(page)
      await page.getByText(`${count.toLocaleString('en')} findings`).waitFor()
      const mostRows = await scrollToEnd(page, count)
      t.ok(mostRows < 120, `of ${count} rows at most ${mostRows} are in the document`)
      return medianFrame(page)
    }

    const few = await frameMs()
    count = 100_000
    const many = await frameMs()

    t.comment(`median of a frame while scrolling: ${few.toFixed(1)} ms of 1,000 findings, ${many.toFixed(1)} ms of 100,000`)
    t.ok(many < 3 * few + 50, `a frame takes ${many.toFixed(1)} ms, ${few.toFixed(1)} ms where there are few`)
    t.strictSame(faults, [])
    await context.close()
  })
})

/** Scrolls to the end, which moves on as pages come; gives the most rows that were in the document. */
async function scrollToEnd (page: Page, count: number): Promise<number> {
  return page.evaluate(async count => {
    const frame = document.querySelector('.table-frame')!
    let most = 0
    for (;;) {
      frame.scrollTop = frame.scrollHeight
      await new Promise(resolve => setTimeout(resolve, 5))
      const rows = [...document.querySelectorAll('tbody tr:not(.spacer)')]
      most = Math.max(most, rows.length)
      if (Number(rows.at(-1)?.getAttribute('aria-rowindex')) === count + 1) return most
    }
  }, count)
}

/** From the top to the bottom in 100 steps, each of which shows other rows: what a frame takes, ms. */
async function medianFrame (page: Page): Promise<number> {
  return page.evaluate(async () => {
    const frame = document.querySelector('.table-frame')!
    const took: number[] = []
    for (let step = 0; step < 100; step++) {
      const begin = performance.now()
      frame.scrollTop = step * frame.scrollHeight / 100
      await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))
      took.push(performance.now() - begin)
    }
    return took.sort((a, b) => a - b)[50]!
  })
}
