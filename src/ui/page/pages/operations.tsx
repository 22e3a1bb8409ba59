import type { ComponentType } from 'preact'
import { useKeys } from '../keys.js'
import { useRouter } from '../router.js'
import type { Role } from '../api-types.js'
import { useSession } from '../session.js'
import { AuditTab } from './operations-audit.js'
import { DeliveriesTab } from './operations-deliveries.js'
import { KeysTab } from './operations-keys.js'
import { LedgerTab } from './operations-ledger.js'
import { BackupsTab, StoreTab } from './operations-store.js'

interface Tab { readonly name: string, readonly title: string, readonly component: ComponentType, readonly role: Role }

/** The role is that which the API asks for what a tab shows. */
const TABS: readonly Tab[] = [
  { name: 'deliveries', title: 'Deliveries', component: DeliveriesTab, role: 'viewer' },
  { name: 'ledger', title: 'Owed and failed', component: LedgerTab, role: 'viewer' },
  { name: 'store', title: 'Store', component: StoreTab, role: 'viewer' },
  { name: 'backups', title: 'Backups', component: BackupsTab, role: 'viewer' },
  { name: 'keys', title: 'API keys', component: KeysTab, role: 'admin' },
  { name: 'audit', title: 'Audit log', component: AuditTab, role: 'admin' },
]

const pathOf = (name: string) => `/operations?${new URLSearchParams({ tab: name })}`

/** What keeps Hecate running: who is told, what is stored, who may do what. The address has which part is shown. */
export function OperationsPage () {
  const { query, go } = useRouter()
  const { session } = useSession()
  const tabs = TABS.filter(({ role }) => role !== 'admin' || session.role === 'admin')
  const shown = tabs.find(({ name }) => name === query.get('tab')) ?? tabs[0]!
  useKeys('Operations', tabs.map(({ name, title }, n) => ({ keys: String(n + 1), label: title, run: () => go(pathOf(name)) })))
  return (
    <>
      <div class='page-head'>
        <h1>Operations</h1>
        <nav class='views' aria-label='Parts'>{tabs.map(({ name, title }, n) => <a key={name} href={pathOf(name)} title={String(n + 1)} {...name === shown.name ? { 'aria-current': 'true' as const } : {}}>{title}</a>)}</nav>
      </div>
      <div class='stack operations'><shown.component /></div>
    </>
  )
}
