import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Finding } from '../../../src/finding.js'
import { ANALYST_KEY } from '../../fixtures/app.js'
import { ESCAPE, openBrowser, startWatch } from '../../fixtures/browser.js'
import { withoutChromium } from '../../fixtures/clients.js'

t.setTimeout(900_000) // a browser on a machine that may be busy

const skip = withoutChromium()

t.test('An analyst goes from what is open to a finding, exports it, closes it and suppresses what is like it', { skip }, async t => {
  const watch = await startWatch(t)
  const { open } = await openBrowser(t, watch)
  const { page, context, faults } = await open('/', { key: null })
  await page.getByLabel('API key').fill(ANALYST_KEY)
  await page.getByRole('button', { name: 'Sign in' }).click()

  await page.getByRole('link', { name: /^high/ }).click()
  await page.waitForURL(/\/findings\?status=new&status=in_progress&status=pending&severity=high$/)
  await page.getByRole('link', { name: 'Cisco Isovalent - Potential Escape to Host' }).click()
  await page.locator('.tree').waitFor()
  const id = new URL(page.url()).pathname.split('/').at(-1)!

  for (const [link, holds] of [['Export JSON', `"id":"${id}"`], ['Export Markdown', 'nsenter --target 1']] as const) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: link }).click()])
    t.ok(readFileSync(await download.path(), 'utf8').replaceAll('": ', '":').includes(holds), `${link}: ${download.suggestedFilename()}`)
  }

  await page.keyboard.press('e')
  const close = page.getByRole('dialog', { name: 'Close 1 finding' })
  await close.getByLabel('true positive').check()
  await close.getByRole('button', { name: 'Close', exact: true }).last().click()
  await close.waitFor({ state: 'detached' })
  await page.locator('.finding-head').getByText('true positive').waitFor()

  await page.keyboard.press('s')
  const suppress = page.getByRole('dialog', { name: 'Suppress findings like this one' })
  await suppress.getByText('1 of them was a true positive').waitFor()
  await suppress.getByLabel('Reason').fill('it is being dealt with')
  await suppress.getByRole('button', { name: 'Suppress' }).click()
  await suppress.waitFor({ state: 'detached' })

  const finding = await watch.api<Finding>(`/findings/${id}`)
  t.match(finding, { detection: { id: ESCAPE }, status: 'closed', disposition: 'true_positive' })
  t.match((await watch.api<{ items: unknown[] }>('/suppressions')).items, [{ detection: ESCAPE, owner: 'ben', reason: 'it is being dealt with', state: 'active' }])
  await page.keyboard.press('u')
  await page.waitForURL(/\/findings\?/)
  t.strictSame(faults, [])
  await context.close()
})
