import { extname } from 'node:path'
import { z } from 'zod'
import type { Macro, Macros } from '../spl/macro.js'
import { parseConf } from './conf.js'
import { readText, UnreadableError } from './load.js'
import type { Place, Problem } from './place.js'
import { START } from './place.js'
import { parseYamlText } from './yaml.js'

/** The macros of a file, by their keys: `name`, or `name(2)` with two arguments. */
export interface MacroFile {
  readonly file: string
  readonly macros: ReadonlyMap<string, Macro & { readonly place: Place }>
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** Registries of Kubernetes, its distributions and Cilium, and an example of one's own. */
const ALLOWED_IMAGES = [
  'registry.k8s.io/*', '*.dkr.ecr.*.amazonaws.com/eks/*', 'gke.gcr.io/*', 'gcr.io/gke-release/*', 'mcr.microsoft.com/oss/*',
  'quay.io/cilium/*', 'quay.io/isovalent/*', 'registry.example.com/*',
]

/**
 * Macros that security_content relies on, and those of the detections that ship. Sources: its folder macros/, isovalent-events.md section 3;
 * drop_dm_object_name is of Splunk_SA_CIM.
 */
const SHIPPED: Readonly<Record<string, Macro>> = {
  cisco_isovalent_process_exec: { args: [], definition: 'sourcetype=cisco:isovalent:processExec' },
  cisco_isovalent_process_connect: { args: [], definition: 'sourcetype=cisco:isovalent:processConnect' },
  cisco_isovalent: { args: [], definition: 'sourcetype=cisco:isovalent' },
  'drop_dm_object_name(1)': { args: ['object'], definition: 'rename $object$.* AS *' },
  security_content_summariesonly: { args: [], definition: 'summariesonly=`summariesonly_config` allow_old_summaries=`oldsummaries_config` fillnull_value=`fillnull_config`' },
  summariesonly_config: { args: [], definition: 'false' },
  oldsummaries_config: { args: [], definition: 'true' },
  fillnull_config: { args: [], definition: 'null' },
  hecate_allowed_images: { args: [], definition: `pod_image_name IN (${ALLOWED_IMAGES.map(image => `"${image}"`).join(', ')})` },
}

/** The macros of detections: `define` wins over files, the last file over those before it, all of them over the shipped ones. */
export function toMacros (define: Readonly<Record<string, string>>, files: readonly MacroFile[] = []): Macros {
  return new Map<string, Macro>([
    ...Object.entries(SHIPPED),
    ...files.flatMap(({ macros }) => [...macros]),
    ...Object.entries(define).map(([name, definition]) => [name, { args: [], definition }] as const),
  ])
}

/** Files in the order in which they count, each with a warning for the macros that it takes the place of. */
export function withReplaced (files: readonly MacroFile[]): MacroFile[] {
  const known = new Map<string, string>()
  return files.map(one => {
    const replaced = [...one.macros].flatMap(([key, { place }]) => known.has(key) ? { ...place, message: `${key} is also in ${known.get(key)}; this one counts` } : [])
    for (const key of one.macros.keys()) known.set(key, one.file)
    return { ...one, warnings: [...one.warnings, ...replaced] }
  })
}

export function isMacroFile (name: string): boolean {
  return /\.ya?ml$/i.test(name) || /(?:^|[/\\])macros\.conf$/.test(name)
}

/** A larger file holds no macros; ESCU's macros.conf has less than two megabytes. */
const MAX_BYTES = 16 << 20

export function loadMacroFile (file: string): MacroFile {
  try {
    const text = readText(file, MAX_BYTES)
    return { file, ...extname(file) === '.conf' ? readMacrosConf(text) : readMacroYaml(text) }
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error
    return { file, macros: new Map(), errors: [{ ...START, message: error.message }], warnings: [] }
  }
}

type ReadMacros = Omit<MacroFile, 'file'>

/** As in a call: `` `name` `` or `` `name(x, y)` ``. */
const Name = z.string().regex(/^[\w-]+$/, 'expected letters, digits, _ and -')

/** security_content's form. */
const MacroYaml = z.object({
  name: Name,
  definition: z.string(),
  arguments: z.array(Name).nullish().transform(names => names ?? []),
})

function readMacroYaml (text: string): ReadMacros {
  const { yaml, errors } = parseYamlText(text)
  if (yaml === null) return { macros: new Map(), errors, warnings: [] }
  const parsed = MacroYaml.safeParse(yaml.content)
  if (!parsed.success) {
    return { macros: new Map(), errors: parsed.error.issues.map(({ path, message }) => ({ ...yaml.placeOf(path), message: `${path.join('.') || 'file'}: ${message}` })), warnings: [] }
  }
  const { name, arguments: args, definition } = parsed.data
  return { macros: new Map([[keyOf(name, args), { args, definition: definition.trim(), place: yaml.placeOf(['name']) }]]), errors: [], warnings: [] }
}

/** Stanzas `[name]` and `[name(2)]` with `args`, `definition` and `iseval`; what validates arguments is not read. */
function readMacrosConf (text: string): ReadMacros {
  const { stanzas, errors: syntaxErrors } = parseConf(text)
  const macros = new Map<string, Macro & { readonly place: Place }>()
  const errors: Problem[] = [...syntaxErrors, ...stanzas.flatMap(stanza => stanza.errors)]
  for (const { name: stanza, place, settings } of stanzas) {
    const refuse = (message: string, key?: string) => { errors.push({ ...settings.get(key ?? '')?.place ?? place, message: `${stanza}: ${message}` }) }
    const [, name, count = '0'] = /^([\w-]+)(?:\((\d+)\))?$/.exec(stanza) ?? []
    const args = (settings.get('args')?.value ?? '').split(',').map(arg => arg.trim()).filter(arg => arg !== '')
    const definition = settings.get('definition')?.value
    if (name === undefined) refuse('expected a name such as [name], or [name(2)] for two arguments')
    else if (definition === undefined) refuse('the macro has no definition')
    else if (!/^(?:0|f|false|n|no)?$/i.test(settings.get('iseval')?.value ?? '')) refuse('iseval is not supported: the definition is an expression that gives the text', 'iseval')
    else if (args.length !== Number(count)) refuse(`the name says ${count} arguments, args has ${args.length}`, 'args')
    else if (!args.every(arg => Name.safeParse(arg).success)) refuse('an argument is a name of letters, digits, _ and -', 'args')
    else macros.set(keyOf(name, args), { args, definition, place })
  }
  return { macros, errors, warnings: stanzas.flatMap(stanza => stanza.warnings) }
}

function keyOf (name: string, args: readonly string[]): string {
  return args.length === 0 ? name : `${name}(${args.length})`
}
