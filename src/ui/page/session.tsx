import type { ComponentChildren } from 'preact'
import { createContext } from 'preact'
import { useCallback, useContext, useEffect, useMemo, useState } from 'preact/hooks'
import type { Session } from './api-types.js'
import { ApiContext, ApiError, openApi } from './api.js'
import { ErrorState, Loading } from './components/empty-state.js'
import { LoginPage } from './pages/login.js'

interface SessionContextValue {
  readonly session: Session
  readonly end: () => Promise<void>
  /** Whether the role may change what people say: viewers only look. */
  readonly mayWrite: boolean
}

const SessionContext = createContext<SessionContextValue | null>(null)
export const useSession = (): SessionContextValue => useContext(SessionContext)!

/** Shows what is in it to those who are signed in, and asks others for a key. The cookie is the server's; scripts don't see it. */
export function SessionProvider ({ children }: { children: ComponentChildren }) {
  const [session, setSession] = useState<Session | null | undefined>(undefined)
  const [error, setError] = useState<unknown>(null)
  const api = useMemo(() => openApi(() => setSession(null)), [])
  const look = useCallback(async () => {
    setError(null)
    try {
      setSession(await api.get<Session>('/session'))
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 401) setSession(null)
      else setError(problem)
    }
  }, [api])
  useEffect(() => { look() }, [look])
  const value = useMemo(() => session == null
    ? null
    : {
        session,
        mayWrite: session.role !== 'viewer',
        end: async () => {
          await api.call('DELETE', '/session')
          setSession(null)
        },
      }, [session, api])

  if (error !== null) return <main class='alone'><ErrorState error={error} onRetry={() => { look() }} /></main>
  if (session === undefined) return <main class='alone'><Loading /></main>
  return (
    <ApiContext.Provider value={api}>
      {value === null ? <LoginPage onSession={setSession} /> : <SessionContext.Provider value={value}>{children}</SessionContext.Provider>}
    </ApiContext.Provider>
  )
}
