import { useEffect, useRef, useState } from 'preact/hooks'
import { Dialog } from './components/dialog.js'
import { EmptyState } from './components/empty-state.js'
import { ToastProvider, useToast } from './components/toast.js'
import { KeysProvider, useKeyRegistry, useKeys } from './keys.js'
import { PAGES } from './pages.js'
import { PreferencesProvider, usePreferences } from './preferences.js'
import { matchPath, RouterProvider, useRouter } from './router.js'
import { SessionProvider, useSession } from './session.js'
import { NowProvider, useClock } from './time.js'

export function App () {
  return (
    <PreferencesProvider>
      <RouterProvider>
        <ToastProvider>
          <SessionProvider>
            <KeysProvider><Shell /></KeysProvider>
          </SessionProvider>
        </ToastProvider>
      </RouterProvider>
    </PreferencesProvider>
  )
}

/** What is around every page: navigation, keys, the switches for theme and time. */
function Shell () {
  const { path, go } = useRouter()
  const now = useClock()
  const [isHelpOpen, setHelpOpen] = useState(false)
  const [isMenuOpen, setMenuOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  const found = PAGES.flatMap(page => {
    const params = matchPath(page.path, path)
    return params === null ? [] : [{ page, params }]
  })[0]
  const title = found?.page.title ?? 'Not found'

  useEffect(() => {
    setMenuOpen(false)
    document.title = `${title} – Hecate`
    if (!isFirst.current) main.current?.focus({ preventScroll: true }) // a reader hears of the new page
    isFirst.current = false
  }, [path, title])
  useKeys('Everywhere', [
    { keys: '?', label: 'Show the keys', run: () => setHelpOpen(true) },
    ...PAGES.flatMap(({ key, title: name, path: to }) => key === undefined ? [] : [{ keys: `g ${key}`, label: `Go to ${name}`, run: () => go(to) }]),
  ])

  return (
    <NowProvider value={now}>
      <a class='skip' href='#main'>Skip to the content</a>
      <div class='shell'>
        <header class='side'>
          <div class='side-top'>
            <a class='brand' href='/' aria-label='Hecate, home'>
              <svg viewBox='0 0 32 32' width='24' height='24' aria-hidden='true'><rect width='32' height='32' rx='7' class='brand-back' /><path d='M9 7v18M23 7v18M9 16h14' class='brand-lines' /><circle cx='16' cy='16' r='4.6' class='brand-circle' /></svg>
              Hecate
            </a>
            <button type='button' class='menu-button' aria-expanded={isMenuOpen} aria-controls='nav' onClick={() => setMenuOpen(!isMenuOpen)}>Menu</button>
          </div>
          <div id='nav' class={`side-content${isMenuOpen ? ' open' : ''}`}>
            <nav aria-label='Pages'>
              <ul>
                {PAGES.filter(({ key }) => key !== undefined).map(({ path: to, title: name, key }) => {
                  const isHere = path === to || (to !== '/' && path.startsWith(`${to}/`))
                  return <li key={to}><a href={to} title={`g ${key}`} {...isHere ? { 'aria-current': 'page' as const } : {}}>{name}</a></li>
                })}
              </ul>
            </nav>
            <SideFoot onHelp={() => setHelpOpen(true)} />
          </div>
        </header>
        <main id='main' ref={main} tabIndex={-1}>
          {found === undefined
            ? <EmptyState title='There is no such page'><a href='/'>Go home</a></EmptyState>
            : <found.page.component key={path} params={found.params} />}
        </main>
      </div>
      {isHelpOpen && <KeyHelp onClose={() => setHelpOpen(false)} />}
    </NowProvider>
  )
}

function SideFoot ({ onHelp }: { onHelp: () => void }) {
  const { session, end } = useSession()
  const { theme, zone, set } = usePreferences()
  const { fail } = useToast()
  return (
    <div class='side-foot'>
      <label class='field'>
        <span>Theme</span>
        <select value={theme} onChange={event => set({ theme: event.currentTarget.value as typeof theme })}>
          <option value='system'>system</option>
          <option value='light'>light</option>
          <option value='dark'>dark</option>
        </select>
      </label>
      <label class='field'>
        <span>Times</span>
        <select value={zone} onChange={event => set({ zone: event.currentTarget.value as typeof zone })}>
          <option value='utc'>in UTC</option>
          <option value='local'>local</option>
        </select>
      </label>
      <button type='button' class='quiet' onClick={onHelp}>Keys <kbd>?</kbd></button>
      <p class='who'><span title={`role: ${session.role}`}>{session.name} <span class='muted'>({session.role})</span></span> <button type='button' class='quiet small' onClick={() => { end().catch(fail) }}>Sign out</button></p>
    </div>
  )
}

function KeyHelp ({ onClose }: { onClose: () => void }) {
  const groups = [...useKeyRegistry()?.all() ?? []]
  return (
    <Dialog title='Keys' onClose={onClose}>
      <div class='key-help'>
        {groups.map(([group, bindings]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {bindings.map(({ keys, label }) => (
                <div key={keys}><dt>{keys.split(' ').map(key => <kbd key={key}>{key}</kbd>)}</dt><dd>{label}</dd></div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
