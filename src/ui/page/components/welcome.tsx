import { useState } from 'preact/hooks'
import type { SentSample } from '../api-types.js'
import { messageOf, useApi } from '../api.js'
import { useKeys } from '../keys.js'
import { useRouter } from '../router.js'
import { useSession } from '../session.js'
import { Section } from './card.js'
import { ErrorState } from './empty-state.js'
import { Forwarders } from './forwarders.js'

/** In place of the cards of Home while there is no event; Home takes it away when the first has come. */
export function Welcome ({ error, onRetry }: { error: unknown, onRetry: () => void }) {
  const { session } = useSession()
  return (
    <div class='stack welcome'>
      <section class='card welcome-head' aria-label='Welcome'>
        <h2>Welcome to Hecate</h2>
        <p>It is up, and no event has come in yet. Send some as to Splunk’s HTTP Event Collector: this page changes by itself when the first is stored.</p>
        {error === null
          ? <p class='waiting' role='status'><span class='waiting-mark' aria-hidden='true' />Waiting for the first event …</p>
          : <ErrorState error={error} onRetry={onRetry} />}
      </section>
      <div class='welcome-columns'>
        <Section title='Send events here'>
          <p>The first start has made a HEC token and written it to <code>first-start</code> in the data folder, or shown it on the terminal. {session.role === 'admin' ? <>Another is made at <a href='/sources'>Sources</a>, with its secret filled in.</> : 'An admin can make another.'}</p>
          <Forwarders secret={null} />
        </Section>
        <Section title='Or look at a sample'><Sample /></Section>
      </div>
    </div>
  )
}

/** Sends the log of an escape that ships, and goes to what it gives. */
function Sample () {
  const api = useApi()
  const { go } = useRouter()
  const { session } = useSession()
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const isAllowed = session.role === 'admin'
  const send = async () => {
    if (isBusy) return
    setBusy(true)
    setFailure(null)
    try {
      const { finding_id: id } = await api.post<SentSample>('/samples', undefined)
      go(`/findings/${encodeURIComponent(id)}`)
    } catch (error) {
      setFailure(error)
      setBusy(false)
    }
  }
  useKeys('Home', isAllowed ? [{ keys: 's', label: 'Send the sample', run: () => { send() } }] : [])
  return (
    <div class='stack'>
      <p>The log of an hour in which somebody escapes from a container to its host. Hecate stores it as if a node had just sent it, runs the detection that finds it, and shows the finding.</p>
      <p class='muted'>Its events have the source <code>hecate:sample</code> and the cluster <code>hecate-sample</code>. They and the finding are as any others: targets are told of it.</p>
      {isAllowed
        ? <div><button type='button' class='primary' title='s' disabled={isBusy} onClick={() => { send() }}>{isBusy ? 'Sending…' : 'Send the sample'}</button></div>
        : <p>An admin’s key can send it.</p>}
      {failure !== null && <p class='error-text pre-line' role='alert'>{messageOf(failure)}</p>}
    </div>
  )
}
