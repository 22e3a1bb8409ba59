import { useEffect, useRef, useState } from 'preact/hooks'
import type { Session } from '../api-types.js'
import { ApiError, messageOf, useApi } from '../api.js'

/** Asks for an API key, which is sent once: what comes back is a cookie that scripts can't read. */
export function LoginPage ({ onSession }: { onSession: (session: Session) => void }) {
  const api = useApi()
  const [error, setError] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    document.title = 'Sign in – Hecate'
    field.current?.focus()
  }, [])
  const signIn = async () => {
    const key = field.current!.value.trim()
    if (key === '') return
    setBusy(true)
    setError(null)
    try {
      onSession(await api.post<Session>('/session', { key }))
    } catch (problem) {
      setError(problem instanceof ApiError && problem.status === 401 ? 'Hecate knows no such key.' : messageOf(problem))
      setBusy(false)
      field.current?.select()
    }
  }
  return (
    <main class='alone'>
      <form class='card login' onSubmit={event => { event.preventDefault(); signIn() }}>
        <h1>Hecate</h1>
        <p class='muted'>Sign in with an API key. The first start has written one to <code>first-start</code> in the data folder.</p>
        <label class='field'>
          <span>API key</span>
          <input ref={field} type='password' name='key' autocomplete='current-password' required maxLength={1000} {...error === null ? {} : { 'aria-invalid': true, 'aria-describedby': 'login-error' }} />
        </label>
        {error !== null && <p id='login-error' class='error-text' role='alert'>{error}</p>}
        <button type='submit' class='primary' disabled={isBusy}>{isBusy ? 'Signing in…' : 'Sign in'}</button>
      </form>
    </main>
  )
}
