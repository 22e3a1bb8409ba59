import type { ProcessNode, ProcessTree as Tree } from '../api-types.js'
import { Visible } from '../text.js'
import { Time } from '../time.js'
import { Badge } from './badge.js'

interface Branch { readonly node: ProcessNode, readonly children: Branch[] }

/** Parents with their children; who has no parent among the nodes is a root. */
function toBranches (nodes: readonly ProcessNode[]): readonly Branch[] {
  const nameOf = (node: ProcessNode, id: string) => JSON.stringify([node.cluster_name, node.node_name, id])
  const byId = new Map<string, Branch>(nodes.map(node => [nameOf(node, node.exec_id), { node, children: [] }]))
  const roots: Branch[] = []
  for (const branch of byId.values()) {
    const { node } = branch
    const parent = node.parent_exec_id === null ? undefined : byId.get(nameOf(node, node.parent_exec_id))
    if (parent === undefined) roots.push(branch)
    else parent.children.push(branch)
  }
  return roots
}

/** Who started whom: a nested list, so that it can be read without being seen. The step from a container to the host is marked. */
export function ProcessTree ({ tree }: { tree: Tree }) {
  return (
    <>
      <ul class='tree'>{toBranches(tree.nodes).map(branch => <Process key={branch.node.exec_id} branch={branch} place={null} />)}</ul>
      {(tree.truncated || tree.events_gone) && (
        <p class='muted small-text'>
          {tree.truncated && 'There may be more processes: a bound was met. '}
          {tree.events_gone && 'Contributing events are stored no more, so the tree is made of what the finding keeps.'}
        </p>
      )}
    </>
  )
}

function placeOf (node: ProcessNode): string {
  return node.host ? 'host' : [node.pod?.namespace, node.pod?.name, node.pod?.container_name].filter(one => one != null).join(' / ') || 'a container'
}

function Process ({ branch: { node, children }, place }: { branch: Branch, place: string | null }) {
  const own = placeOf(node)
  return (
    <li class={`${node.host ? 'on-host' : 'in-pod'}${node.crosses_to_host ? ' crosses' : ''}`}>
      {node.crosses_to_host && <p class='border-mark'><span aria-hidden='true'>▚ </span>from the container to the host</p>}
      {own !== place && <p class='place'><Visible text={own} />{node.pod?.image != null && <span class='muted'> <Visible text={node.pod.image} /></span>}{node.privileged === true && <> <Badge tone='warn'>privileged</Badge></>}</p>}
      <div class={`process${node.evidence ? ' evidence' : ''}`}>
        <code class='command'><b><Visible text={node.binary ?? 'unknown process'} /></b>{node.arguments !== null && <> <Visible text={node.arguments} /></>}</code>
        <span class='process-facts muted small-text'>
          {node.evidence && <><Badge tone='bad'>evidence</Badge> </>}
          pid {node.pid ?? '?'} · uid {node.uid ?? '?'}
          {node.start_time !== null && <> · <Time at={node.start_time} relative='none' precision='milliseconds' /></>}
          {node.signal !== null ? <> · ended by <Visible text={node.signal} /></> : node.exit_code !== null && <> · exit {node.exit_code}</>}
        </span>
      </div>
      {children.length > 0 && <ul>{children.map(child => <Process key={child.node.exec_id} branch={child} place={own} />)}</ul>}
    </li>
  )
}
