import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Modules of this folder as processes of their own: nothing that they hold or compile weighs on what is measured elsewhere. */

type FromChild<Result, Sample> = { readonly sample: Sample } | { readonly result: Result }

/** Runs a module to its end and gives its result. `onSample` is told what it sends before. Rejects where it ends without a result. */
export async function runChild<Result, Sample = never> (name: string, options: object, signal: AbortSignal, onSample: (sample: Sample) => void = () => {}): Promise<Result> {
  const child = fork(fileURLToPath(new URL(`./${name}.js`, import.meta.url)), [JSON.stringify(options)], { signal })
  const results: Result[] = []
  child.on('message', (message: FromChild<Result, Sample>) => {
    if ('sample' in message) onSample(message.sample)
    else results.push(message.result)
  })
  // It is gone, and all that it has sent has come.
  const [[code]] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, once(child, 'disconnect')])
  if (results.length === 0) throw new Error(`the process ${name} ended with code ${code}`)
  return results[0]!
}

/** In the child: the options that it was run with. */
export function readOptions<Options> (): Options {
  return JSON.parse(process.argv[2] ?? '') as Options
}

export function sendSample (sample: object): void {
  process.send?.({ sample })
}

/** The last thing that it sends. */
export function sendResult (result: object): void {
  process.send?.({ result }, () => process.disconnect())
}
