import { useState } from 'preact/hooks'
import type { Key, MadeKey, Role } from '../api-types.js'
import { messageOf, useApi } from '../api.js'
import { Badge } from '../components/badge.js'
import { Card } from '../components/card.js'
import { Code } from '../components/code.js'
import { ConfirmDialog } from '../components/confirm-dialog.js'
import { DataTable } from '../components/data-table.js'
import { Dialog } from '../components/dialog.js'
import { useToast } from '../components/toast.js'
import { useKeys } from '../keys.js'
import { useAll } from '../query.js'
import { countOf, Visible } from '../text.js'
import { Time, toMs, useNow } from '../time.js'

const POLL_MS = 30_000
const ROLES = ['viewer', 'analyst', 'admin'] as const satisfies readonly Role[]

const pathOf = ({ name }: { readonly name: string }) => `/keys/${encodeURIComponent(name)}`

type Open = { readonly kind: 'edit', readonly key: Key | null } | { readonly kind: 'made', readonly made: MadeKey } | { readonly kind: 'revoke', readonly key: Key }

/** Who may ask the API, and for what. */
export function KeysTab () {
  const api = useApi()
  const { tell, fail } = useToast()
  const now = useNow()
  const state = useAll<Key>('/keys', { pollMs: POLL_MS })
  const [open, setOpen] = useState<Open | null>(null)
  useKeys('API keys', [{ keys: 'n', label: 'New key', run: () => setOpen({ kind: 'edit', key: null }) }])
  const setEnabled = async (key: Key) => {
    try {
      await api.call('PATCH', pathOf(key), { body: { enabled: !key.enabled } })
      tell(key.enabled ? 'The key is disabled, and its sessions have ended' : 'The key is enabled')
    } catch (error) {
      fail(error)
    }
    state.refresh()
  }
  return (
    <>
      <Card title='API keys' state={state} actions={<button type='button' class='small' onClick={() => setOpen({ kind: 'edit', key: null })}>New key <kbd>n</kbd></button>}>
        {({ items }) => (
          <DataTable
            label='API keys' rows={items} rowKey={({ name }) => name}
            columns={[
              { key: 'name', title: 'Name', cardLabel: '', render: ({ name, origin }) => <><b><Visible text={name} /></b>{origin === 'configuration' && <span class='block small-text muted'>set in the configuration: <code>api.keys</code></span>}</> },
              { key: 'role', title: 'Role', width: '90px', render: ({ role }) => role },
              { key: 'state', title: 'State', width: '100px', render: ({ enabled, expires_at: end }) => enabled ? end !== null && toMs(end) <= now ? <Badge tone='bad'>expired</Badge> : <Badge tone='good'>enabled</Badge> : <Badge tone='warn'>disabled</Badge> },
              { key: 'expires', title: 'Expires', render: ({ expires_at: end }) => end === null ? 'never' : <Time at={end} precision='minutes' /> },
              { key: 'used', title: 'Last used', width: '100px', render: ({ last_used_at: used }) => used === null ? <span class='muted'>never</span> : <Time at={used} relative='only' /> },
              {
                key: 'actions', title: '', cardLabel: '', align: 'right',
                render: key => key.origin === 'configuration'
                  ? null
                  : (
                    <span class='row-actions'>
                      <button type='button' class='small' onClick={() => setOpen({ kind: 'edit', key })}>Change</button>
                      <button type='button' class='small' onClick={() => { setEnabled(key) }}>{key.enabled ? 'Disable' : 'Enable'}</button>
                      <button type='button' class='small danger' onClick={() => setOpen({ kind: 'revoke', key })}>Revoke</button>
                    </span>
                    ),
              },
            ]}
          />
        )}
      </Card>
      {open?.kind === 'edit' && (
        <KeyDialog
          apiKey={open.key} onClose={() => setOpen(null)}
          onDone={made => {
            setOpen(made === null ? null : { kind: 'made', made })
            state.refresh()
          }}
        />
      )}
      {open?.kind === 'made' && (
        <Dialog title={`The key ${open.made.name}`} onClose={() => setOpen(null)} actions={<button type='button' class='primary' onClick={() => setOpen(null)}>It is kept</button>}>
          <p><b>This is the one time that it is shown.</b> Hecate keeps no more than a hash of it.</p>
          <Code text={open.made.key} label='Key' wrap />
        </Dialog>
      )}
      {open?.kind === 'revoke' && (
        <ConfirmDialog
          title='Revoke the key' action='Revoke' onClose={() => setOpen(null)}
          onConfirm={async () => {
            await api.call('DELETE', pathOf(open.key))
            setOpen(null)
            tell('The key is gone')
            state.refresh()
          }}
        >
          <p>Who uses <b><Visible text={open.key.name} /></b> is answered 401 from now on, and its sessions end. This can’t be taken back; a key that is disabled can be enabled again.</p>
        </ConfirmDialog>
      )}
    </>
  )
}

/** Makes a key, or changes one. */
function KeyDialog ({ apiKey, onClose, onDone }: { apiKey: Key | null, onClose: () => void, onDone: (made: MadeKey | null) => void }) {
  const api = useApi()
  const { tell } = useToast()
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>(apiKey?.role ?? 'viewer')
  const [days, setDays] = useState(apiKey === null ? '90' : 'as it is')
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const expiry = days === 'as it is' || (days === 'never' && apiKey === null) ? {} : { expires_at: days === 'never' ? null : `+${days}d` }
  const isReady = !isBusy && (apiKey === null ? name.trim() !== '' : role !== apiKey.role || days !== 'as it is')
  const submit = async () => {
    if (!isReady) return
    setBusy(true)
    setFailure(null)
    try {
      if (apiKey === null) return onDone(await api.post<MadeKey>('/keys', { name: name.trim(), role, ...expiry }))
      await api.call('PATCH', pathOf(apiKey), { body: { ...role === apiKey.role ? {} : { role }, ...expiry } })
      tell('The key is changed')
      onDone(null)
    } catch (error) {
      setBusy(false)
      setFailure(error)
    }
  }
  return (
    <Dialog
      title={apiKey === null ? 'New key' : `Change the key ${apiKey.name}`} onClose={onClose} onSubmit={() => { submit() }}
      actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={!isReady}>{isBusy ? 'Saving…' : apiKey === null ? 'Make it' : 'Save'}</button></>}
    >
      {apiKey === null && <label class='field'><span>Name</span><input value={name} required autofocus maxLength={100} autocomplete='off' spellcheck={false} onInput={event => setName(event.currentTarget.value)} /></label>}
      <label class='field'>
        <span>Role: viewers look, analysts triage, admins do all</span>
        <select value={role} onChange={event => setRole(event.currentTarget.value as Role)}>{ROLES.map(one => <option key={one} value={one}>{one}</option>)}</select>
      </label>
      <label class='field'>
        <span>Expires</span>
        <select value={days} onChange={event => setDays(event.currentTarget.value)}>
          {apiKey !== null && <option value='as it is'>as it is</option>}
          {['7', '30', '90', '365'].map(one => <option key={one} value={one}>in {countOf(Number(one), 'day')}</option>)}
          <option value='never'>never</option>
        </select>
      </label>
      {failure !== null && <p class='error-text pre-line' role='alert'>{messageOf(failure)}</p>}
    </Dialog>
  )
}
