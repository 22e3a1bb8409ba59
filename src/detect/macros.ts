import type { Macro, Macros } from '../spl/macro.js'

/** Macros of security_content that name where events are. Source: seed detection, "Macros Used"; isovalent-events.md section 3. */
const SHIPPED: Readonly<Record<string, string>> = {
  cisco_isovalent_process_exec: 'sourcetype=cisco:isovalent:processExec',
  cisco_isovalent_process_connect: 'sourcetype=cisco:isovalent:processConnect',
  cisco_isovalent: 'sourcetype=cisco:isovalent',
}

/** The macros of detections; those of the configuration win over the shipped ones. */
export function toMacros (define: Readonly<Record<string, string>>): Macros {
  const macros = new Map<string, Macro>()
  for (const [name, definition] of [...Object.entries(SHIPPED), ...Object.entries(define)]) macros.set(name, { args: [], definition })
  return macros
}
