/** What is asked for to make a detection of a search. */
export interface DetectionDraft {
  readonly name: string
  readonly description: string
  readonly type: 'TTP' | 'Anomaly' | 'Hunting'
  readonly search: string
  readonly cron: string
  readonly earliest: string
  readonly latest: string
  readonly message: string
  readonly riskField: string
  readonly riskType: 'system' | 'user' | 'other'
  readonly riskScore: number
  /** Of ATT&CK, such as T1611. */
  readonly techniques: readonly string[]
}

/** The name of a file is the detection's id: what is no letter or digit is an underscore, as security_content has it. */
export function toFileName (name: string): string {
  return `${name.trim().toLowerCase().replace(/[^a-z\d]/g, '_')}.yml`
}

/** A detection as security_content writes them (docs/detections.md). `uuid` and `date`, as 2026-03-10, are its own. */
export function toDetectionFile (draft: DetectionDraft, { uuid, date }: { readonly uuid: string, readonly date: string }): string {
  const lines = [
    `name: ${scalar(draft.name.trim())}`,
    `id: ${uuid}`,
    'version: 1',
    `creation_date: '${date}'`,
    'status: experimental',
    `type: ${draft.type}`,
    `description: ${scalar(draft.description.trim())}`,
    `search: ${block(draft.search.trim())}`,
    'deployment:',
    '  scheduling:',
    `    cron_schedule: ${scalar(draft.cron.trim())}`,
    `    earliest_time: ${scalar(draft.earliest.trim())}`,
    `    latest_time: ${scalar(draft.latest.trim())}`,
    ...draft.type === 'Hunting'
      ? []
      : [
          'rba:',
          `  message: ${scalar(draft.message.trim())}`,
          '  risk_objects:',
          `    - field: ${scalar(draft.riskField.trim())}`,
          `      type: ${draft.riskType}`,
          `      score: ${draft.riskScore}`,
          '  threat_objects: []',
        ],
    'tags:',
    '  analytic_story: []',
    '  asset_type: Endpoint',
    `  mitre_attack_id: [${draft.techniques.map(scalar).join(', ')}]`,
    '  product:',
    '    - Hecate',
    '  security_domain: endpoint',
  ]
  return `${lines.join('\n')}\n`
}

/** What YAML has to have escaped in double quotes beyond JSON, and what can't be read with the eye. */
const ESCAPED = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]/g

/** JSON's text is one of YAML. */
function scalar (text: string): string {
  return JSON.stringify(text).replace(/[\ud800-\udbff][\udc00-\udfff]|[^]/g, char => char.length === 2 ? char : char.replace(ESCAPED, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`))
}

/** Lines as they are, where they can be; the number says where they begin, for a first line that is indented itself. */
function block (text: string): string {
  const lines = text.split('\n')
  const isPlain = !/[^\t\n\u0020-\u007e\u00a1-\u00ac\u00ae-\u1fff\u2070-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text) && !lines.some(line => line.startsWith('\t'))
  return isPlain ? ['|2-', ...lines.map(line => line === '' ? '' : `  ${line}`)].join('\n') : scalar(text)
}
