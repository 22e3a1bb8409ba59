import type { ComponentChildren } from 'preact'
import { createContext } from 'preact'
import { useContext, useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks'

export interface Preferences {
  readonly theme: 'system' | 'light' | 'dark'
  readonly zone: 'utc' | 'local'
}

/** assets/theme.js reads it too. */
const KEPT_AS = 'hecate.preferences'
const FIRST: Preferences = { theme: 'system', zone: 'utc' }

interface PreferencesContextValue extends Preferences {
  /** What is seen: the theme chosen, or what the system prefers. */
  readonly shownTheme: 'light' | 'dark'
  readonly set: (changes: Partial<Preferences>) => void
}

const PreferencesContext = createContext<PreferencesContextValue>({ ...FIRST, shownTheme: 'light', set: () => {} })
export const usePreferences = (): PreferencesContextValue => useContext(PreferencesContext)

/** What a person has chosen for this browser. */
export function PreferencesProvider ({ children }: { children: ComponentChildren }) {
  const [preferences, setPreferences] = useState(read)
  const isDark = useMedia('(prefers-color-scheme: dark)')
  useLayoutEffect(() => { // before charts read the colours
    const root = document.documentElement
    if (preferences.theme === 'system') delete root.dataset.theme
    else root.dataset.theme = preferences.theme
    try {
      localStorage.setItem(KEPT_AS, JSON.stringify(preferences))
    } catch {
      // A browser that keeps nothing shows what was chosen until it is closed.
    }
  }, [preferences])
  const value = useMemo(() => ({
    ...preferences,
    shownTheme: preferences.theme === 'system' ? isDark ? 'dark' as const : 'light' as const : preferences.theme,
    set: (changes: Partial<Preferences>) => setPreferences(before => ({ ...before, ...changes })),
  }), [preferences, isDark])
  return <PreferencesContext.Provider value={value}>{children}</PreferencesContext.Provider>
}

/** Whether a media query holds, now and from now on. */
export function useMedia (query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const onChange = () => setHolds(list.matches)
    onChange()
    list.addEventListener('change', onChange)
    return () => list.removeEventListener('change', onChange)
  }, [query])
  return holds
}

/** Below it tables are cards and the navigation is folded; assets/style.css has the same width. */
export const useNarrow = (): boolean => useMedia('(max-width: 760px)')

function read (): Preferences {
  try {
    const { theme, zone } = JSON.parse(localStorage.getItem(KEPT_AS) ?? '{}') as Partial<Record<string, unknown>>
    return { theme: theme === 'light' || theme === 'dark' ? theme : FIRST.theme, zone: zone === 'local' ? zone : FIRST.zone }
  } catch {
    return FIRST
  }
}
