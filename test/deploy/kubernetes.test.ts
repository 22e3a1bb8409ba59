import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { ConfigError, loadConfig } from '../../src/config.js'
import { resourcePath } from '../../src/resource.js'
import { tempDir } from '../fixtures/app.js'
import { loadClient, PATH, withoutKubectl, withoutModules } from '../fixtures/clients.js'

t.setTimeout(300_000) // starts a compiler and kubectl, on a machine that may be busy

interface Labels { readonly [name: string]: string }
interface Manifest { readonly apiVersion: string, readonly kind: string, readonly metadata: { readonly name: string, readonly namespace?: string, readonly labels?: Labels } }
interface Probe { readonly httpGet: { readonly path: string, readonly port: string } }
interface StatefulSet extends Manifest {
  readonly spec: {
    readonly serviceName: string
    readonly selector: { readonly matchLabels: Labels }
    readonly template: { readonly metadata: { readonly labels: Labels }, readonly spec: Pod }
    readonly volumeClaimTemplates: readonly Manifest[]
  }
}
interface Pod {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: object
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string, readonly configMap?: { readonly name: string }, readonly secret?: { readonly secretName: string }, readonly emptyDir?: object }[]
}
interface Container {
  readonly image: string
  readonly securityContext: object
  readonly env: readonly { readonly name: string, readonly value: string }[]
  readonly ports: readonly { readonly name: string, readonly containerPort: number }[]
  readonly volumeMounts: readonly { readonly name: string, readonly mountPath: string }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}
interface Kustomization {
  readonly namespace: string
  readonly resources: readonly string[]
  readonly configMapGenerator: readonly { readonly name: string, readonly files: readonly string[] }[]
  readonly images: readonly { readonly name: string, readonly newName: string, readonly newTag: string }[]
}
interface Secret extends Manifest { readonly stringData: Readonly<Record<string, string>> }
interface Service extends Manifest { readonly spec: { readonly selector: Labels, readonly ports: readonly { readonly port: number, readonly targetPort: string }[] } }
interface NetworkPolicy extends Manifest { readonly spec: { readonly podSelector: { readonly matchLabels: Labels }, readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[] } }
interface PodMonitor extends Manifest {
  readonly spec: { readonly selector: { readonly matchLabels: Labels }, readonly jobLabel: string, readonly podMetricsEndpoints: readonly { readonly port: string, readonly path: string }[] }
}

const FOLDER = resourcePath('deploy/kubernetes/')
const EXAMPLE = 'secret.example.yaml'
const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8')
const load = <T>(name: string) => parse(read(name)) as T

const kustomization = load<Kustomization>('kustomization.yaml')
const statefulSet = load<StatefulSet>('stateful-set.yaml')
const pod = statefulSet.spec.template.spec
const container = pod.containers[0]!
const podLabels = statefulSet.spec.template.metadata.labels
const secret = load<Secret>(EXAMPLE)
const { version } = JSON.parse(readFileSync(resourcePath('package.json'), 'utf8')) as { version: string }

const mountPath = (volume: string) => container.volumeMounts.find(({ name }) => name === volume)!.mountPath

t.test('kustomization.yaml names every file of its folder, and no other', async t => {
  const named = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap(({ files }) => files)]

  t.strictSame([...named, EXAMPLE, 'kustomization.yaml'].sort(), readdirSync(FOLDER).sort())
})

/** Its own model of a manifest's kind, and the type of it. */
function modelOf ({ apiVersion, kind }: Manifest): string {
  const name = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'
  return `${name}/${apiVersion}/${kind}`
}

t.test('every manifest is what Kubernetes takes for one of its kind', { skip: withoutModules(['kubernetes-models', '@kubernetes-models/prometheus-operator']) }, async t => {
  for (const name of [...kustomization.resources, EXAMPLE]) {
    const manifest = load<Manifest>(name)
    const { [manifest.kind]: Model } = loadClient(modelOf(manifest)) as Record<string, new (manifest: Manifest) => { validate: () => void }>
    t.doesNotThrow(() => new Model!(manifest).validate(), name)
  }
})

t.test('no manifest has a key that Kubernetes does not know', { skip: withoutModules(['kubernetes-models', '@kubernetes-models/prometheus-operator']) }, async t => {
  // The models pass over such keys; the compiler, which has their types, does not.
  const typeOf = (manifest: Manifest) => `import('${resourcePath(`test/e2e/node_modules/${modelOf(manifest)}`)}').I${manifest.kind}`
  const lines = [...kustomization.resources, EXAMPLE].map(name => {
    const manifest = load<Manifest>(name)
    return `/* ${name} */ (${JSON.stringify(manifest)}) satisfies ${typeOf(manifest)}`
  })
  const misspelt = { ...statefulSet, spec: { ...statefulSet.spec, replica: 1 } }
  lines.push('// @ts-expect-error: or nothing would be found above', `(${JSON.stringify(misspelt)}) satisfies ${typeOf(misspelt)}`)
  const file = join(tempDir(t), 'manifests.ts')
  writeFileSync(file, `${lines.join('\n')}\n`)

  const tsc = spawnSync(process.execPath, [resourcePath('node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', file], { encoding: 'utf8' })

  t.strictSame([tsc.status, tsc.stdout], [0, ''])
})

t.test('kubectl makes of the folder what a cluster gets', { skip: withoutKubectl() }, async t => {
  const kubectl = spawnSync('kubectl', ['kustomize', FOLDER], { encoding: 'utf8', env: { PATH } })
  t.equal(kubectl.status, 0, kubectl.stderr)
  const all = parseAllDocuments(kubectl.stdout).map(document => document.toJS() as Manifest)
  const of = <T extends Manifest>(kind: string) => all.find(manifest => manifest.kind === kind) as T
  const made = of<StatefulSet>('StatefulSet').spec.template.spec
  const configMap = of<Manifest & { data: Record<string, string> }>('ConfigMap')

  t.strictSame(all.map(({ kind }) => kind).sort(), ['ConfigMap', ...kustomization.resources.map(name => load<Manifest>(name).kind)].sort())
  for (const { kind, metadata } of all) if (kind !== 'Namespace') t.equal(metadata.namespace, kustomization.namespace, kind)
  t.equal(made.containers[0]!.image, `hecate:${version}`)
  t.match(configMap.metadata.name, /^hecate-\w+$/, 'named by its content')
  t.equal(made.volumes.find(({ name }) => name === 'config')!.configMap!.name, configMap.metadata.name)
  t.strictSame(configMap.data, { 'hecate.yaml': read('hecate.yaml') })
})

/** For tap's `skip`: Debian 12 has a kubectl that makes the base, and knows no `patches` as overlays have them today. */
function withoutPatches (): string | false {
  const { stdout } = spawnSync('kubectl', ['version', '--client'], { encoding: 'utf8', env: { PATH } })
  return stdout.includes('Kustomize Version') ? false : 'a kubectl older than 1.24'
}

t.test('the overlay in docs/operations.md changes what it says', { skip: withoutKubectl() || withoutPatches() }, async t => {
  const cwd = tempDir(t)
  const [, overlay] = /```yaml\n(# kustomization.yaml\n.*?)```/s.exec(readFileSync(resourcePath('docs/operations.md'), 'utf8'))!
  writeFileSync(join(cwd, 'kustomization.yaml'), overlay!.replace('../hecate/deploy/kubernetes', relative(realpathSync(cwd), FOLDER)))
  writeFileSync(join(cwd, 'hecate.yaml'), 'timezone: UTC\n')

  const { stdout, stderr } = spawnSync('kubectl', ['kustomize', cwd], { encoding: 'utf8', env: { PATH } })

  t.equal(stderr, '')
  const all = parseAllDocuments(stdout).map(document => document.toJS() as Manifest)
  t.match(all.find(({ kind }) => kind === 'ConfigMap'), { data: { 'hecate.yaml': 'timezone: UTC\n' } })
  const { containers: [changed] } = (all.find(({ kind }) => kind === 'StatefulSet') as StatefulSet).spec.template.spec
  t.equal(changed!.image, 'registry.example.com/hecate:0.1.0')
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) t.match(changed![probe].httpGet, { ...container[probe].httpGet, scheme: 'HTTPS' }, probe)
  t.equal(changed!.volumeMounts.length, container.volumeMounts.length + 1)
})

t.test('what one manifest says of another is so', async t => {
  const service = load<Service>('service.yaml')
  const policy = load<NetworkPolicy>('network-policy.yaml')
  const podMonitor = load<PodMonitor>('pod-monitor.yaml')
  const volumes = [...pod.volumes, ...statefulSet.spec.volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name)
  const portNames = container.ports.map(({ name }) => name)

  for (const [who, labels] of Object.entries({
    'the StatefulSet': statefulSet.spec.selector.matchLabels,
    'the Service': service.spec.selector,
    'the NetworkPolicy': policy.spec.podSelector.matchLabels,
    'the PodMonitor': podMonitor.spec.selector.matchLabels,
  })) t.strictSame(labels, podLabels, `${who} selects the pod`)
  t.equal(statefulSet.spec.serviceName, service.metadata.name)
  t.equal(pod.serviceAccountName, load<Manifest>('service-account.yaml').metadata.name)
  t.equal(load<Manifest>('namespace.yaml').metadata.name, kustomization.namespace)
  t.match(secret.metadata, { name: pod.volumes.find(({ name }) => name === 'secrets')!.secret!.secretName, namespace: kustomization.namespace })
  t.equal(pod.volumes.find(({ name }) => name === 'config')!.configMap!.name, kustomization.configMapGenerator[0]!.name)
  t.strictSame(container.volumeMounts.map(({ name }) => name).sort(), volumes.sort(), 'every volume is mounted')
  t.equal(podLabels[podMonitor.spec.jobLabel], 'hecate', 'the job that the alert rules ask for')

  for (const port of [
    ...service.spec.ports.map(({ targetPort }) => targetPort),
    ...policy.spec.ingress.flatMap(({ ports }) => ports.map(({ port }) => port)),
    ...podMonitor.spec.podMetricsEndpoints.map(({ port }) => port),
    ...[container.startupProbe, container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet.port),
  ]) t.ok(portNames.includes(port), port)
  t.equal(service.spec.ports[0]!.port, container.ports[0]!.containerPort)
})

t.test('the StatefulSet fits the image', async t => {
  const dockerfile = readFileSync(resourcePath('Dockerfile'), 'utf8')
  const env = (name: string) => new RegExp(`${name}=(\\S+)`).exec(dockerfile)![1]
  const [image] = kustomization.images

  t.match(dockerfile, /^USER node$/m, 'whose number is 1000 in the images of Node')
  t.equal(env('HECATE_LISTEN_PORT'), String(container.ports[0]!.containerPort))
  t.equal(env('HECATE_DATA_DIR'), mountPath('data'))
  t.equal(container.env.find(({ name }) => name === 'HECATE_CONFIG')!.value, `${mountPath('config')}/${kustomization.configMapGenerator[0]!.files[0]!}`)
  t.equal(container.image, `${image!.name}:${version}`)
  t.equal(image!.newTag, version)
  t.ok(pod.terminationGracePeriodSeconds > 10, 'a stop takes up to ten seconds')
})

t.test('the pod has the rights that the restricted profile leaves, and no account\'s token', async t => {
  t.match(pod.securityContext, { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } })
  t.strictSame(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
  t.equal(pod.automountServiceAccountToken, false)
})

/** The folder that the pod sees: hecate.yaml, with the secrets where it looks for them. */
function mounted (t: Parameters<typeof tempDir>[0], secrets: Readonly<Record<string, string>>) {
  const cwd = tempDir(t)
  mkdirSync(join(cwd, 'secrets'))
  for (const [name, value] of Object.entries(secrets)) writeFileSync(join(cwd, 'secrets', name), value)
  writeFileSync(join(cwd, 'hecate.yaml'), read('hecate.yaml').replaceAll(`file:${mountPath('secrets')}/`, 'file:secrets/'))
  return { file: 'hecate.yaml', env: {}, flags: {}, cwd }
}

t.test('hecate.yaml is a configuration, and its secrets are those of the Secret', async t => {
  const config = loadConfig(mounted(t, Object.fromEntries(Object.keys(secret.stringData).map(name => [name, `${name} of this cluster\n`]))))

  t.strictSame([...config.hec.tokens.map(({ token }) => token), ...config.api.keys.map(({ key }) => key)], Object.keys(secret.stringData).map(name => `${name} of this cluster`))
})

t.test('with the example Secret as it stands nothing starts', async t => {
  t.throws(() => loadConfig(mounted(t, secret.stringData)), new ConfigError('hec.tokens.0.token: the first line is empty'))
})
