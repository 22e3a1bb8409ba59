import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { loadFile } from '../../src/detect/load.js'
import { toDetectionFile, toFileName } from '../../src/ui/page/detection-file.js'
import type { DetectionDraft } from '../../src/ui/page/detection-file.js'
import { tempDir } from '../fixtures/app.js'

const DRAFT: DetectionDraft = {
  name: 'A name', description: 'Says what it finds', type: 'TTP', search: '* | stats count BY pod_name', cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m',
  message: 'In $pod_name$', riskField: 'pod_name', riskType: 'system', riskScore: 50, techniques: ['T1611'],
}
const OWN = { uuid: '3e1c7c7e-4a63-4c3e-9a2b-2f4c5d6e7f80', date: '2026-03-10' }

t.test('A detection that the page makes is read as it was asked for', async t => {
  const file = join(tempDir(t), toFileName(DRAFT.name))
  writeFileSync(file, toDetectionFile(DRAFT, OWN))

  t.match(loadFile(file), [{
    id: 'a_name', errors: [], warnings: [], notes: [],
    detection: { uuid: OWN.uuid, name: 'A name', version: 1, status: 'experimental', type: 'TTP', search: DRAFT.search, mitre_attack: ['T1611'], risk: { message: 'In $pod_name$', risk_objects: [{ field: 'pod_name', type: 'system', score: 50 }], threat_objects: [] } },
  }])
  writeFileSync(file, toDetectionFile({ ...DRAFT, type: 'Hunting' }, OWN))
  t.match(loadFile(file), [{ errors: [], detection: { type: 'Hunting', risk: null } }])
})

t.test('Whatever text is in it, the file is YAML that says the same', async t => {
  const file = join(tempDir(t), 'any.yml')
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.constantFrom('a', ' ', '\n', '\t', '\r', '"', '\'', '#', ': ', '- ', '|', '\\', '`', '\u2028', '\u0000', '\u0085', '🙂', '%', '{', '&', '---\n')).map(parts => parts.join('')))
    .filter(one => one.trim() !== '')
  fc.assert(fc.property(text, text, text, (name, description, search) => {
    writeFileSync(file, toDetectionFile({ ...DRAFT, name, description, search }, OWN))
    const [{ detection, errors } = { detection: null, errors: [] }] = loadFile(file)
    return errors.length === 0 && detection?.name === name.trim() && detection.description === description.trim() && detection.search === search.trim()
  }), { numRuns: 500 })
})
