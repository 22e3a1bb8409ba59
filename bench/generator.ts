/**
 * Makes process_exec events of about 4.2 KB in the shape of isovalent-events.md 1.3, always the same for a seed. It is the
 * definition of the events that the goals of speed and size speak of:
 * 4 clusters, each of 50 nodes and 1,500 pods; every pod with a container id, every process with an exec id of its own; 30 % of
 * the command lines are unique. Four in a thousand are nsenter, mount, ps or ls, in one pod of a hundred.
 */
export interface GeneratorOptions {
  readonly seed: number
  /** Time of the first event, and how much later each next one is; epoch microseconds. */
  readonly startUs: number
  readonly stepUs: number
}

const CLUSTERS = ['prod-eu', 'prod-us', 'prod-ap', 'staging-eu']
const NODES_PER_CLUSTER = 50
const PODS_PER_CLUSTER = 1_500
const WORKLOADS_PER_CLUSTER = 150
const UNIQUE_COMMAND_LINES = 0.3
const SUSPICIOUS = 0.004
/** One pod of so many has all the suspicious commands, so that they meet in five minutes. */
const SUSPICIOUS_POD_EVERY = 100

/** As a JSON string holds them: quotes are escaped. */
interface Command { readonly binary: string, readonly args: string | null }

const SUSPICIOUS_COMMANDS: readonly Command[] = [
  { binary: '/usr/bin/nsenter', args: '-t 1 -m -u -i -n -p -- bash' },
  { binary: '/usr/bin/mount', args: '/dev/sda1 /mnt/host' },
  { binary: '/usr/bin/ps', args: 'aux' },
  { binary: '/usr/bin/ls', args: null },
]

const BINARIES = [
  '/bin/sh', '/usr/bin/curl', '/usr/bin/python3.11', '/usr/local/bin/node', '/usr/bin/java', '/bin/cat', '/usr/bin/grep', '/usr/bin/sed',
  '/usr/bin/openssl', '/usr/bin/git', '/usr/local/bin/redis-cli', '/usr/bin/psql', '/usr/bin/find', '/usr/bin/date', '/usr/bin/tar', '/usr/bin/gzip',
]
const REPEATED_ARGS = [
  '-c \\"wget -q -O /dev/null http://127.0.0.1:8080/healthz\\"', '-fsS --max-time 5 http://127.0.0.1:9090/-/ready', '--version', '/app/server.js --port 8080',
  '-c \\"redis-cli ping | grep PONG\\"', '-U app -h 127.0.0.1 -c \\"select 1\\"', '/etc/resolv.conf', '-n 1 /var/run/app.pid',
]
const UNIQUE_ARGS: readonly ((unique: string) => string)[] = [
  unique => `-c \\"/app/bin/worker --job ${unique} --retries 3\\"`,
  unique => `-fsS -H \\"X-Request-Id: ${unique}\\" http://orders.shop.svc:8080/api/v1/orders/${unique.slice(0, 8)}`,
  unique => `/app/jobs/export.py --output /tmp/export-${unique}.csv`,
  unique => `/tmp/build-${unique}/index.js`,
]
const CWDS = ['/', '/app', '/srv/data', '/home/app', '/var/lib/app']

/** The part of the JSON that a pod's processes share: the pod object around the PID in the container, and the node around the time. */
interface Pod {
  readonly node: string
  readonly cluster: string
  readonly beforePid: string
  readonly afterPid: string
  readonly nodeJson: string
  readonly labelsJson: string
  readonly entrypoint: string
}

export type Generator = ReturnType<typeof openGenerator>

export function openGenerator ({ seed, startUs, stepUs }: GeneratorOptions) {
  const random = openRandom(seed)
  const pods = CLUSTERS.flatMap((cluster, i) => makePods(cluster, i, random))
  const suspiciousPods = pods.filter((_, i) => i % SUSPICIOUS_POD_EVERY === 0)
  let timeUs = startUs
  let eventBytes = 0
  let events = 0

  function nextEvent (): { pod: Pod, json: string } {
    const isSuspicious = random.fraction() < SUSPICIOUS
    const pod = random.pick(isSuspicious ? suspiciousPods : pods)
    const { binary, args } = isSuspicious ? random.pick(SUSPICIOUS_COMMANDS) : ordinaryCommand(random)
    const parentId = execId(pod.node, random)
    const parentPid = 1_000 + random.below(4_000_000)
    const uid = random.below(4) === 0 ? 0 : 1000
    const time = toRfc3339Nanos(timeUs, random.below(1_000))
    const process = processJson(pod, {
      execId: execId(pod.node, random), pid: parentPid + 1 + random.below(50), containerPid: 2 + random.below(9_000), uid, cwd: random.pick(CWDS),
      binary, args, startTime: time, parentId,
    })
    const parent = processJson(pod, {
      execId: parentId, pid: parentPid, containerPid: 2 + random.below(60), uid, cwd: '/app',
      binary: '/bin/sh', args: '-c /app/entrypoint.sh', startTime: toRfc3339Nanos(timeUs - random.below(3_600_000_000), random.below(1_000)), parentId: pod.entrypoint,
    })
    const ancestor = processJson(pod, {
      execId: pod.entrypoint, pid: 999, containerPid: 1, uid, cwd: '/',
      binary: '/usr/bin/tini', args: '-- /app/entrypoint.sh', startTime: '2026-03-09T12:25:06.105737980Z', parentId: 'eDoxOjE=',
    })
    const json = `{"process_exec":{"process":${process},"parent":${parent},"ancestors":[${ancestor}]},${pod.nodeJson},"time":"${time}",${pod.labelsJson}}`
    return { pod, json }
  }

  /** The next event in its envelope, as a forwarder on the node sends it. All ASCII. */
  function envelope (): string {
    const { pod, json } = nextEvent()
    const seconds = `${Math.floor(timeUs / 1_000_000)}.${String(timeUs % 1_000_000).padStart(6, '0')}`
    count(json)
    return `{"time":${seconds},"host":"${pod.node}","source":"/var/run/cilium/tetragon/tetragon.log","sourcetype":"cisco:isovalent","event":${json}}`
  }

  function count (json: string): void {
    timeUs += stepUs
    events++
    eventBytes += json.length
  }

  return {
    envelope,
    /** The next event as a line of the agent's log, without its line break. All ASCII. */
    line (): string {
      const { json } = nextEvent()
      count(json)
      return json
    },
    /** A request's body of so many events, in memory of its own. */
    body (count: number): ArrayBuffer {
      const text = Array.from({ length: count }, envelope).join('\n')
      const body = new ArrayBuffer(text.length)
      Buffer.from(body).write(text, 'latin1')
      return body
    },
    get events () { return events },
    /** Bytes of the raw JSON of all events so far, without their envelopes. */
    get eventBytes () { return eventBytes },
  }
}

interface ProcessValues {
  readonly execId: string
  readonly pid: number
  readonly containerPid: number
  readonly uid: number
  readonly cwd: string
  readonly binary: string
  readonly args: string | null
  readonly startTime: string
  readonly parentId: string
}

function processJson (pod: Pod, { execId, pid, containerPid, uid, cwd, binary, args, startTime, parentId }: ProcessValues): string {
  return `{"exec_id":"${execId}","pid":${pid},"uid":${uid},"cwd":"${cwd}","binary":"${binary}"${args === null ? '' : `,"arguments":"${args}"`},` +
    `"flags":"execve clone","start_time":"${startTime}","auid":4294967295,${pod.beforePid}${containerPid}${pod.afterPid},` +
    `"parent_exec_id":"${parentId}","refcnt":1,"tid":${pid},"in_init_tree":false}`
}

function ordinaryCommand (random: Random): Command {
  const args = random.fraction() < UNIQUE_COMMAND_LINES ? random.pick(UNIQUE_ARGS)(random.hex(24)) : random.pick(REPEATED_ARGS)
  return { binary: random.pick(BINARIES), args }
}

function makePods (cluster: string, clusterNumber: number, random: Random): Pod[] {
  const nodes = Array.from({ length: NODES_PER_CLUSTER }, (_, i) => `ip-10-${clusterNumber}-${i}-${random.below(256)}.${cluster}.compute.internal`)
  const workloads = Array.from({ length: WORKLOADS_PER_CLUSTER }, (_, i) => {
    const name = `${random.pick(['orders', 'billing', 'search', 'catalog', 'payments', 'mailer', 'gateway', 'reports'])}-${random.pick(['api', 'worker', 'web', 'cron'])}-${i}`
    return { name, namespace: `team-${i % 30}`, chart: `${name}-0.${random.below(40)}.${random.below(10)}`, replicaSet: random.hex(10), image: `registry.example.com/${name}:2.${i % 20}.${random.below(30)}`, imageHash: random.hex(64) }
  })
  return Array.from({ length: PODS_PER_CLUSTER }, (_, i) => {
    const node = nodes[i % NODES_PER_CLUSTER]!
    const { name, namespace, chart, replicaSet, image, imageHash } = random.pick(workloads)
    const containerId = random.hex(64)
    const labels = {
      'app.kubernetes.io/name': name, 'app.kubernetes.io/instance': name, 'app.kubernetes.io/part-of': namespace, 'app.kubernetes.io/managed-by': 'Helm',
      'helm.sh/chart': chart, 'pod-template-hash': replicaSet,
    }
    return {
      node,
      cluster,
      beforePid: `"pod":{"namespace":"${namespace}","name":"${name}-${replicaSet}-${random.hex(5)}","uid":"${random.uuid()}","container":{"id":"containerd://${containerId}","name":"app",` +
        `"image":{"id":"${image.split(':')[0]}@sha256:${imageHash}","name":"${image}"},"start_time":"2026-03-09T12:25:06Z","pid":`,
      afterPid: `,"security_context":{}},"pod_labels":${JSON.stringify(labels)},"workload":"${name}","workload_kind":"Deployment"},"docker":"${containerId.slice(0, 31)}"`,
      nodeJson: `"node_name":"${node}"`,
      labelsJson: `"cluster_name":"${cluster}","node_labels":${JSON.stringify({
        'kubernetes.io/arch': 'amd64', 'kubernetes.io/os': 'linux', 'kubernetes.io/hostname': node, 'node.kubernetes.io/instance-type': 'm6i.2xlarge',
        'topology.kubernetes.io/region': cluster, 'topology.kubernetes.io/zone': `${cluster}-${'abc'[i % 3]}`,
      })}`,
      entrypoint: execId(node, random),
    }
  })
}

/** Base64 of node, kernel time and PID (isovalent-events.md 1.2). */
function execId (node: string, random: Random): string {
  return Buffer.from(`${node}:${1_000_000 + random.below(9_000_000)}${100_000_000 + random.below(900_000_000)}:${1_000 + random.below(4_000_000)}`).toString('base64')
}

function toRfc3339Nanos (timeUs: number, nanos: number): string {
  return `${new Date(Math.floor(timeUs / 1_000)).toISOString().slice(0, -1)}${String((timeUs % 1_000) * 1_000 + nanos).padStart(6, '0')}Z`
}

export type Random = ReturnType<typeof openRandom>

/** Pseudo-random numbers: Tommy Ettinger's Mulberry32, good enough for data and one multiplication or two each. */
export function openRandom (seed: number) {
  let state = seed | 0
  function next (): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number) => Math.floor(next() / 0x1_0000_0000 * limit)
  function hex (length: number): string {
    let text = ''
    while (text.length < length) text += next().toString(16).padStart(8, '0')
    return text.slice(0, length)
  }
  return {
    /** An integer from 0 to limit - 1. */
    below,
    fraction: () => next() / 0x1_0000_0000,
    pick: <T>(items: readonly T[]): T => items[below(items.length)]!,
    hex,
    uuid: () => [8, 4, 4, 4, 12].map(hex).join('-'),
  }
}
