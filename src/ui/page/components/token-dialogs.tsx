import { useState } from 'preact/hooks'
import type { MadeToken, Token } from '../api-types.js'
import { messageOf, useApi } from '../api.js'
import { countOf, Visible } from '../text.js'
import { Time } from '../time.js'
import { Code } from './code.js'
import { Dialog } from './dialog.js'
import { useToast } from './toast.js'

/** Makes a HEC token, and shows its secret: the one time that there is. */
export function AddTokenDialog ({ onClose, onMade }: { onClose: () => void, onMade: (secret: string) => void }) {
  const api = useApi()
  const [name, setName] = useState('')
  const [index, setIndex] = useState('main')
  const [sourcetype, setSourcetype] = useState('cisco:isovalent')
  const [cluster, setCluster] = useState('')
  const [given, setGiven] = useState('')
  const [ack, setAck] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const [made, setMade] = useState<MadeToken | null>(null)
  const submit = async () => {
    if (isBusy || name.trim() === '') return
    setBusy(true)
    setFailure(null)
    try {
      const token = await api.post<MadeToken>('/tokens', {
        name: name.trim(),
        index: index.trim(),
        ack,
        ...sourcetype.trim() === '' ? {} : { sourcetype: sourcetype.trim() },
        ...cluster.trim() === '' ? {} : { defaults: { cluster_name: cluster.trim() } },
        ...given === '' ? {} : { token: given },
      })
      setMade(token)
      onMade(token.token)
    } catch (error) {
      setFailure(error)
    }
    setBusy(false)
  }
  if (made !== null) {
    return (
      <Dialog title='The token is made' onClose={onClose} actions={<button type='button' class='primary' onClick={onClose}>Done</button>}>
        <p>This is the secret of <b><Visible text={made.name} /></b>. It is shown this once: Hecate keeps a hash of it and nothing else.</p>
        <Code text={made.token} label='secret of the token' wrap />
        <p class='muted'>Until you leave the page, the lines for forwarders have it filled in.</p>
      </Dialog>
    )
  }
  return (
    <Dialog
      title='Add a HEC token' onClose={onClose} onSubmit={() => { submit() }}
      actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={isBusy || name.trim() === ''}>{isBusy ? 'Adding…' : 'Add'}</button></>}
    >
      <label class='field'><span>Name, such as that of the sender</span><input value={name} required maxLength={200} autocomplete='off' spellcheck={false} onInput={event => setName(event.currentTarget.value)} /></label>
      <div class='row'>
        <label class='field grow'><span>Index of events that name none</span><input value={index} required autocomplete='off' spellcheck={false} onInput={event => setIndex(event.currentTarget.value)} /></label>
        <label class='field grow'><span>Sourcetype of events without one</span><input value={sourcetype} autocomplete='off' spellcheck={false} onInput={event => setSourcetype(event.currentTarget.value)} /></label>
      </div>
      <label class='field'><span>cluster_name of events without one</span><input value={cluster} placeholder='none is set' autocomplete='off' spellcheck={false} onInput={event => setCluster(event.currentTarget.value)} /></label>
      <label class='field'><span>Secret, such as one that senders have from Splunk</span><input type='password' value={given} placeholder='a random one is made' maxLength={1_000} autocomplete='off' onInput={event => setGiven(event.currentTarget.value)} /></label>
      <label class='check'><input type='checkbox' checked={ack} onChange={event => setAck(event.currentTarget.checked)} /> Senders get ids to ask for (indexer acknowledgement)</label>
      {failure !== null && <p class='error-text pre-line' role='alert'>{messageOf(failure)}</p>}
    </Dialog>
  )
}

/** Says what a removal does before it is done. */
export function RemoveTokenDialog ({ token: { name, last_used_at: lastUsed, events }, onClose, onRemoved }: { token: Token, onClose: () => void, onRemoved: () => void }) {
  const api = useApi()
  const { tell } = useToast()
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const submit = async () => {
    if (isBusy) return
    setBusy(true)
    setFailure(null)
    try {
      await api.call('DELETE', `/tokens/${encodeURIComponent(name)}`)
      tell(`Removed: token ${name}`)
      onRemoved()
    } catch (error) {
      setFailure(error)
      setBusy(false)
    }
  }
  return (
    <Dialog
      title='Remove a HEC token' onClose={onClose} onSubmit={() => { submit() }}
      actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='danger' disabled={isBusy}>{isBusy ? 'Removing…' : 'Remove'}</button></>}
    >
      <p>Whoever sends with <b><Visible text={name} /></b> is refused from now on (403, code 4), and its secret can’t be had back. To stop a sender for a while, disable its token.</p>
      <p class='muted'>{lastUsed === null ? 'It was never used.' : <>Last used <Time at={lastUsed} />; {countOf(events, 'event')} came with it, which stay.</>}</p>
      {failure !== null && <p class='error-text pre-line' role='alert'>{messageOf(failure)}</p>}
    </Dialog>
  )
}
