import { useState } from 'preact/hooks'
import type { Delivery, Target, TargetTest } from '../api-types.js'
import { useApi } from '../api.js'
import type { Tone } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import { Card, Section } from '../components/card.js'
import { Code } from '../components/code.js'
import { ConfirmDialog } from '../components/confirm-dialog.js'
import { DataTable } from '../components/data-table.js'
import { Dialog } from '../components/dialog.js'
import { EmptyState } from '../components/empty-state.js'
import { FilterBar } from '../components/filter-bar.js'
import { ListState } from '../components/list-state.js'
import { useToast } from '../components/toast.js'
import { useList } from '../list.js'
import { useAll } from '../query.js'
import { useRouter } from '../router.js'
import { useSession } from '../session.js'
import { countOf, Visible, words } from '../text.js'
import { durationText, Time } from '../time.js'

const POLL_MS = 30_000
const PAGE_SIZE = 100

const TONES: Readonly<Record<Delivery['state'], Tone>> = { pending: 'info', delivered: 'good', dead: 'bad' }

type Open =
  | { readonly kind: 'test', readonly target: string, readonly result: TargetTest }
  | { readonly kind: 'drop', readonly delivery: Delivery }
  | { readonly kind: 'drop_all', readonly target: Target, readonly state: 'pending' | 'dead' }

/** Who is told of findings, and what became of that. */
export function DeliveriesTab () {
  const api = useApi()
  const { query } = useRouter()
  const { session, mayWrite } = useSession()
  const { tell, fail } = useToast()
  const isAdmin = session.role === 'admin'
  const targets = useAll<Target>('/targets', { pollMs: POLL_MS })
  const list = useList<Delivery>('/deliveries', { query: { state: query.get('state'), target: query.get('target'), limit: PAGE_SIZE } })
  const [open, setOpen] = useState<Open | null>(null)
  const [tested, setTested] = useState<string | null>(null) // whose answer is awaited
  const refresh = () => {
    targets.refresh()
    list.refresh()
  }
  const run = async (task: () => Promise<string>) => {
    try {
      tell(await task())
    } catch (error) {
      fail(error)
    }
    refresh()
  }
  const test = async (target: string) => {
    setTested(target)
    try {
      setOpen({ kind: 'test', target, result: await api.post<TargetTest>(`/targets/${encodeURIComponent(target)}/test`, undefined) })
    } catch (error) {
      fail(error)
    }
    setTested(null)
    refresh()
  }
  const resend = ({ id }: Delivery) => run(async () => {
    await api.post(`/deliveries/${encodeURIComponent(id)}/resend`, undefined)
    return 'It is sent again'
  })
  const resendAll = ({ name }: Target) => run(async () => `${countOf((await api.post<{ count: number }>('/deliveries/resend', { target: name })).count, 'delivery is', 'deliveries are')} sent again`)

  return (
    <>
      <Card title='Targets' state={targets}>
        {({ items }) => items.length === 0
          ? <EmptyState title='Nobody is told of findings'>Targets are set in the configuration: <code>notify</code>.</EmptyState>
          : (
            <DataTable
              label='Targets' rows={items} rowKey={({ name }) => name}
              columns={[
                { key: 'target', title: 'Target', cardLabel: '', render: ({ name, type, origin }) => <><b><Visible text={name} /></b><span class='block small-text muted'>{type ?? 'the configuration has it no more'}{origin !== null && <> · <Visible text={origin} /></>}</span></> },
                {
                  key: 'state', title: 'State',
                  render: ({ failing_since: since, failures, last_error: error, last_sent_at: sent }) => since === null
                    ? <><Badge tone={sent === null ? 'neutral' : 'good'}>{sent === null ? 'nothing sent yet' : 'works'}</Badge>{sent !== null && <span class='small-text muted'> last <Time at={sent} relative='only' /></span>}</>
                    : <div><Badge tone='bad'>fails</Badge> <span class='small-text'>{countOf(failures, 'time')} since <Time at={since} relative='only' /></span>{error !== null && <span class='block small-text error-text'><Visible text={error} /></span>}</div>,
                },
                { key: 'pending', title: 'Pending', width: '120px', render: ({ pending, oldest_pending_at: oldest }) => <span>{pending.toLocaleString('en')}{oldest !== null && <span class='block small-text muted'>oldest <Time at={oldest} relative='only' /></span>}</span> },
                { key: 'dead', title: 'Given up', width: '90px', render: ({ dead }) => <span class={dead > 0 ? 'error-text' : ''}>{dead.toLocaleString('en')}</span> },
                ...mayWrite
                  ? [{
                      key: 'actions', title: '', cardLabel: '', align: 'right' as const,
                      render: (target: Target) => (
                        <span class='row-actions'>
                          {isAdmin && target.type !== null && <button type='button' class='small' disabled={tested !== null} onClick={() => { test(target.name) }}>{tested === target.name ? 'Testing…' : 'Test'}</button>}
                          {target.dead > 0 && target.type !== null && <button type='button' class='small' onClick={() => { resendAll(target) }}>Send {target.dead.toLocaleString('en')} again</button>}
                          {isAdmin && target.dead > 0 && <button type='button' class='small danger' onClick={() => setOpen({ kind: 'drop_all', target, state: 'dead' })}>Drop those given up</button>}
                          {isAdmin && target.pending > 0 && <button type='button' class='small danger' onClick={() => setOpen({ kind: 'drop_all', target, state: 'pending' })}>Drop pending</button>}
                        </span>
                      ),
                    }]
                  : [],
              ]}
            />
            )}
      </Card>
      <Section title='Deliveries'>
        <FilterBar
          filters={[
            { kind: 'one', name: 'state', label: 'State', options: Object.keys(TONES).map(value => ({ value, label: value === 'dead' ? 'given up' : value })) },
            { kind: 'one', name: 'target', label: 'Target', options: (targets.value?.items ?? []).map(({ name }) => ({ value: name, label: name })) },
          ]}
        />
        <ListState list={list} empty={<EmptyState title='No delivery meets this' />}>
          <DataTable
            label='Deliveries' rows={list.rows} rowKey={({ id }) => id}
            columns={[
              { key: 'written', title: 'Written', width: '150px', cardLabel: '', render: ({ written_at: at }) => <Time at={at} relative='none' precision='minutes' /> },
              { key: 'target', title: 'Target', render: ({ target }) => <Visible text={target} /> },
              { key: 'finding', title: 'Finding', render: ({ finding, what }) => <a href={`/findings/${encodeURIComponent(finding.id)}`}>{words(what)}, revision {finding.revision}</a> },
              { key: 'state', title: 'State', width: '90px', render: ({ state }) => <Badge tone={TONES[state]}>{state === 'dead' ? 'given up' : state}</Badge> },
              { key: 'tries', title: 'Tries', align: 'right', width: '60px', render: ({ tries }) => tries.toLocaleString('en') },
              { key: 'answer', title: 'Last answer', render: ({ status, error, next_try_at: next }) => <div>{status ?? ''} {error !== null && <span class='error-text'><Visible text={error} /></span>}{next !== null && <span class='block muted'>next try <Time at={next} relative='only' /></span>}</div> },
              ...mayWrite
                ? [{
                    key: 'actions', title: '', cardLabel: '', align: 'right' as const,
                    render: (delivery: Delivery) => (
                      <span class='row-actions'>
                        {delivery.state === 'dead' && <button type='button' class='small' onClick={() => { resend(delivery) }}>Send again</button>}
                        {isAdmin && delivery.state !== 'delivered' && <button type='button' class='small danger' onClick={() => setOpen({ kind: 'drop', delivery })}>Drop</button>}
                      </span>
                    ),
                  }]
                : [],
            ]}
          />
        </ListState>
      </Section>
      {open?.kind === 'test' && (
        <Dialog title={`Test of ${open.target}`} onClose={() => setOpen(null)} actions={<button type='button' class='primary' onClick={() => setOpen(null)}>Close</button>}>
          <p><Badge tone={open.result.succeeded ? 'good' : 'bad'}>{open.result.succeeded ? 'it works' : 'it failed'}</Badge> {open.result.status !== null && <>status {open.result.status}</>} {open.result.elapsed_ms !== null && <span class='muted'>after {durationText(open.result.elapsed_ms / 1000)}</span>}</p>
          {open.result.error !== null && <p class='error-text'><Visible text={open.result.error} lines /></p>}
          {open.result.answer !== null && open.result.answer !== '' && <Code text={open.result.answer} label='Answer' wrap />}
        </Dialog>
      )}
      {open?.kind === 'drop' && (
        <ConfirmDialog
          title='Drop the delivery' action='Drop' onClose={() => setOpen(null)}
          onConfirm={async () => {
            await api.call('DELETE', `/deliveries/${encodeURIComponent(open.delivery.id)}`)
            setOpen(null)
            tell('The delivery is gone')
            refresh()
          }}
        >
          <p><Visible text={open.delivery.target} /> is not told that a finding was {words(open.delivery.what)}. This can’t be taken back.</p>
        </ConfirmDialog>
      )}
      {open?.kind === 'drop_all' && (
        <ConfirmDialog
          title={open.state === 'dead' ? 'Drop what was given up' : 'Drop what is pending'} action={`Drop ${open.target[open.state].toLocaleString('en')}`} onClose={() => setOpen(null)}
          onConfirm={async () => {
            const { count } = await api.post<{ count: number }>('/deliveries/drop', { target: open.target.name, state: open.state })
            setOpen(null)
            tell(`${countOf(count, 'delivery is', 'deliveries are')} gone`)
            refresh()
          }}
        >
          <p><Visible text={open.target.name} /> is not told of {countOf(open.target[open.state], 'thing')} that became of findings. This can’t be taken back.</p>
        </ConfirmDialog>
      )}
    </>
  )
}
