/** What an agent sends; children are told apart by what is inside (isovalent-events.md section 3). */
const ISOVALENT = 'cisco:isovalent'
const PROCESS_EXEC = 'cisco:isovalent:processExec'
const PROCESS_CONNECT = 'cisco:isovalent:processConnect'

/** An event of sourcetype `from` with the top-level key `key` becomes one of sourcetype `to`. */
export interface Route { readonly from: string, readonly key: string, readonly to: string }

/** Source: isovalent-events.md section 3. */
export const ROUTES: readonly Route[] = [
  { from: ISOVALENT, key: 'process_exec', to: PROCESS_EXEC },
  { from: ISOVALENT, key: 'process_connect', to: PROCESS_CONNECT },
]

/** Top-level keys of which a Tetragon event has exactly one (isovalent-events.md 1.1). */
export const TETRAGON_KEYS: readonly string[] = [
  'process_exec', 'process_exit', 'process_kprobe', 'process_connect', 'process_tracepoint', 'process_uprobe', 'process_lsm',
  'process_loader', 'process_throttle', 'process_usdt', 'process_listen', 'process_close', 'process_accept', 'process_dns',
  'rate_limit_info',
]

/** Sourcetypes whose events container logs may have wrapped as `{"log": "<line>"}` (isovalent-events.md section 2). */
export function isWrappable (sourcetype: string): boolean {
  return sourcetype === ISOVALENT || sourcetype.startsWith(`${ISOVALENT}:`)
}

/** Its member there. */
export const WRAPPING_KEY = 'log'

/** What every event has beside its fields, and nothing in an event or a table can change. */
export const METADATA_FIELDS = ['_time', '_raw', 'host', 'source', 'sourcetype', 'index'] as const
export type MetadataField = typeof METADATA_FIELDS[number]

export function isMetadata (name: string): name is MetadataField {
  switch (name as MetadataField) {
    case '_time': case '_raw': case 'host': case 'source': case 'sourcetype': case 'index': return true
    default: return false
  }
}

/**
 * How a mapped field comes out of an event: as it is, in lower case, the last part of a path, a binary with its arguments
 * behind a space, or the same text for every event.
 */
export type Mapping =
  | { readonly via: 'value', readonly path: readonly string[] }
  | { readonly via: 'lower_case', readonly path: readonly string[] }
  | { readonly via: 'basename', readonly path: readonly string[] }
  | { readonly via: 'command_line', readonly path: readonly string[] }
  | { readonly via: 'constant', readonly value: string | readonly string[] }

/** The members of a process object that its command line is made of. */
export const COMMAND_LINE_MEMBERS = ['binary', 'arguments'] as const

const value = (...path: string[]): Mapping => ({ via: 'value', path })
const lowerCase = (...path: string[]): Mapping => ({ via: 'lower_case', path })
const basename = (...path: string[]): Mapping => ({ via: 'basename', path })
const commandLine = (...path: string[]): Mapping => ({ via: 'command_line', path })
const constant = (text: string | readonly string[]): Mapping => ({ via: 'constant', value: text })

const TAGS = ['process', 'report']

const CLUSTER_AND_NODE = { cluster_name: value('cluster_name'), node_name: value('node_name') }

/** Fields of the pod of a process: its event's top-level key says which. Without a pod there are none (isovalent-events.md 4.5). */
const podOf = (key: string) => ({
  pod_name: value(key, 'process', 'pod', 'name'),
  pod_namespace: value(key, 'process', 'pod', 'namespace'),
  pod_image_name: value(key, 'process', 'pod', 'container', 'image', 'name'),
  container_id: value(key, 'process', 'pod', 'container', 'id'),
})

/**
 * The mapped fields of each sourcetype. Source: isovalent-events.md 4.2 to 4.4. `vendor_product` and `eventtype` of processExec have
 * no known value there, so these are ours, and its `dest` is the node; of processConnect `dest` and `src` are pods. What the
 * source marks as unknown is not mapped.
 */
export const MAPPED_FIELDS: Readonly<Record<string, Readonly<Record<string, Mapping>>>> = {
  [PROCESS_EXEC]: {
    process_name: basename('process_exec', 'process', 'binary'),
    process: commandLine('process_exec', 'process'),
    process_exec: basename('process_exec', 'process', 'binary'),
    process_id: value('process_exec', 'process', 'pid'),
    process_current_directory: value('process_exec', 'process', 'cwd'),
    user_id: value('process_exec', 'process', 'uid'),
    parent_process: commandLine('process_exec', 'parent'),
    parent_process_name: basename('process_exec', 'parent', 'binary'),
    parent_process_id: value('process_exec', 'parent', 'pid'),
    parent_process_path: value('process_exec', 'parent', 'binary'),
    parent_process_exec: basename('process_exec', 'parent', 'binary'),
    ...podOf('process_exec'),
    ...CLUSTER_AND_NODE,
    dest: value('node_name'),
    time: value('time'),
    vendor_product: constant('Cisco Isovalent'),
    eventtype: constant('cisco_isovalent_process_exec'),
    tag: constant(TAGS),
    'tag::eventtype': constant(TAGS),
  },
  [PROCESS_CONNECT]: {
    dest: value('process_connect', 'destination_pod', 'name'),
    dest_ip: value('process_connect', 'destination_ip'),
    dest_port: value('process_connect', 'destination_port'),
    src: value('process_connect', 'process', 'pod', 'name'),
    src_ip: value('process_connect', 'source_ip'),
    src_port: value('process_connect', 'source_port'),
    transport: lowerCase('process_connect', 'protocol'),
    session_id: value('process_connect', 'sock_cookie'),
    process_id: value('process_connect', 'process', 'pid'),
    ...podOf('process_connect'),
    ...CLUSTER_AND_NODE,
  },
  // Keeps the events without a sourcetype of their own: kprobe, exit, tracepoint and the like.
  [ISOVALENT]: CLUSTER_AND_NODE,
}

/**
 * Data models that searches read by tstats: whose events are of one, and its fields. Source: Splunk's Common Information Model,
 * Endpoint.Processes.
 */
export const DATA_MODELS: Readonly<Record<string, { readonly sourcetypes: readonly string[], readonly fields: readonly string[] }>> = {
  'Endpoint.Processes': {
    sourcetypes: [PROCESS_EXEC],
    fields: [
      'action', 'cpu_load_percent', 'dest', 'dest_bunit', 'dest_category', 'dest_is_expected', 'dest_priority', 'dest_requires_av', 'dest_should_timesync',
      'dest_should_update', 'mem_used', 'original_file_name', 'os', 'parent_process', 'parent_process_exec', 'parent_process_guid', 'parent_process_id',
      'parent_process_name', 'parent_process_path', 'process', 'process_current_directory', 'process_exec', 'process_guid', 'process_hash', 'process_id',
      'process_integrity_level', 'process_name', 'process_path', 'tag', 'user', 'user_bunit', 'user_category', 'user_id', 'user_priority', 'vendor_product',
    ],
  },
}

/** How a column of the event store keeps a field: as the number of a dictionary entry, or its text in the row. */
export type ColumnKind = 'dictionary' | 'text'

/**
 * Fields that have a column of their own in the event store, whatever the sourcetype. A dictionary is for fields of few
 * different values; command lines would fill it (performance.md).
 */
export const COLUMNS: Readonly<Record<string, ColumnKind>> = {
  host: 'dictionary',
  source: 'dictionary',
  sourcetype: 'dictionary',
  index: 'dictionary',
  cluster_name: 'dictionary',
  node_name: 'dictionary',
  pod_namespace: 'dictionary',
  pod_name: 'dictionary',
  pod_image_name: 'dictionary',
  process_name: 'dictionary',
  process: 'text',
  parent_process_name: 'dictionary',
  user_id: 'dictionary',
}
