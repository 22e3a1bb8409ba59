import type { Source } from './api-types.js'

/** A source in a line; what it has no name for is left out. */
export function sourceName ({ node_name: node, cluster_name: cluster, sourcetype, index }: Source): string {
  return [node, cluster, sourcetype, index].filter(one => one !== null).join(' · ') || ALL_OTHERS
}

/** Sources beyond those that are told apart: they have no index. */
export const ALL_OTHERS = 'all others'
