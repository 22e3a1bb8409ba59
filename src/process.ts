import { z } from 'zod'

/** A process of a tree. Text is cut after 4,000 characters, with `…` behind it. */
export const ProcessNode = z.object({
  exec_id: z.string().describe('unique among the processes of one cluster_name and node_name'),
  parent_exec_id: z.string().nullable().describe('the parent need not be among the nodes; null where none is known, and where it would make a circle'),
  cluster_name: z.string().nullable(),
  node_name: z.string().nullable(),
  pid: z.number().int().nullable().describe('in the PID namespace of the host'),
  uid: z.number().int().nullable(),
  binary: z.string().nullable(),
  arguments: z.string().nullable(),
  cwd: z.string().nullable(),
  start_time: z.number().nullable().describe('epoch seconds'),
  end_time: z.number().nullable().describe('epoch seconds; null where no exit is stored'),
  exit_code: z.number().int().nullable().describe('null where no exit is stored, or a signal ended it'),
  signal: z.string().nullable().describe('that ended it, such as SIGKILL'),
  pod: z.object({
    namespace: z.string().nullable(),
    name: z.string().nullable(),
    container_id: z.string().nullable(),
    container_name: z.string().nullable(),
    image: z.string().nullable(),
  }).nullable(),
  host: z.boolean().describe('it has neither a pod nor a container'),
  privileged: z.boolean().nullable().describe('whether its container is privileged; null where the event does not say'),
  crosses_to_host: z.boolean().describe('it steps from a container to the host, or asks for that: docs/evidence.md has the rule'),
  evidence: z.boolean().describe('an event that contributes to the finding is of it'),
  event_id: z.number().int().nullable().describe('its process_exec, else another event of it; null where only events of other processes tell of it'),
})
export type ProcessNode = z.infer<typeof ProcessNode>

export const ProcessTree = z.object({
  nodes: z.array(ProcessNode).describe('parents before their children, else by start time'),
  truncated: z.boolean().describe('a bound was met, so that there may be more: 500 processes, 64 generations, 5 pairs of cluster and node, 5,000 events or 32 MB of them, 15 seconds, or more contributing events than are kept'),
  searched: z.object({ earliest: z.string(), latest: z.string() }).nullable().describe('the event time that was looked through; older ancestors are looked for where they began. null: no process to begin with'),
  events_gone: z.boolean().describe('contributing events are stored no more, so the tree is made of what the finding keeps'),
}).meta({ id: 'ProcessTree' })
export type ProcessTree = z.infer<typeof ProcessTree>
