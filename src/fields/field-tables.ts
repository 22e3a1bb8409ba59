import type { Mapping, Route } from './tables.js'
import { DATA_MODELS, MAPPED_FIELDS, ROUTES } from './tables.js'

/** What the configuration says of a sourcetype's events, by name of field. */
export interface ConfiguredFields {
  readonly sourcetype: string
  /** The field that it is another name of. */
  readonly aliases: Readonly<Record<string, string>>
  /** Text of an eval expression. */
  readonly evals: Readonly<Record<string, string>>
  readonly data_models: readonly string[]
}

/** All that is known of a sourcetype's events. */
export interface SourcetypeFields extends Omit<ConfiguredFields, 'data_models'> {
  readonly mapped: Readonly<Record<string, Mapping>>
}

/** What events mean: the built-in tables and the configuration's, as plain data that can be sent to a thread. */
export interface FieldTables {
  /** The first that fits counts. */
  readonly routes: readonly Route[]
  /** At most one of each sourcetype. */
  readonly sourcetypes: readonly SourcetypeFields[]
  /** The sourcetypes of each data model's events. */
  readonly dataModels: Readonly<Record<string, readonly string[]>>
  /** IANA zone in which eval expressions read and write times. */
  readonly timeZone: string
}

/** The built-in tables with those of the configuration before them. */
export function buildFieldTables ({ fields, routes, timezone }: { readonly fields: readonly ConfiguredFields[], readonly routes: readonly Route[], readonly timezone: string }): FieldTables {
  const names = new Set([...Object.keys(MAPPED_FIELDS), ...fields.map(({ sourcetype }) => sourcetype)])
  return {
    routes: [...routes, ...ROUTES],
    sourcetypes: [...names].map(sourcetype => {
      const { aliases = {}, evals = {} } = fields.find(one => one.sourcetype === sourcetype) ?? {}
      return { sourcetype, mapped: Object.hasOwn(MAPPED_FIELDS, sourcetype) ? MAPPED_FIELDS[sourcetype]! : {}, aliases, evals }
    }),
    dataModels: Object.fromEntries(Object.entries(DATA_MODELS).map(([model, { sourcetypes }]) => {
      const added = fields.filter(({ data_models }) => data_models.includes(model)).map(({ sourcetype }) => sourcetype)
      return [model, [...new Set([...sourcetypes, ...added])]]
    })),
    timeZone: timezone,
  }
}

export const BUILT_IN_TABLES = buildFieldTables({ fields: [], routes: [], timezone: 'UTC' })

/** The sourcetypes whose events are of a data model; none where there is no such model. */
export function dataModelSourcetypes ({ dataModels }: FieldTables, model: string): readonly string[] {
  return Object.hasOwn(dataModels, model) ? dataModels[model]! : []
}
