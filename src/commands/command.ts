/** A terminal, a file, a pipe. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean, readonly columns?: number }

/** What every command gets: its arguments, and the process as far as it may touch it. */
export interface CommandContext {
  /** Behind the command's name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdout: Output
  readonly stderr: Output
  /** Aborts when the process is to stop (SIGTERM, SIGINT). */
  readonly signal: AbortSignal
  /** Calls the listener whenever the process is to read files again (SIGHUP); a command without one ends on that. */
  readonly onReload: (listener: () => void) => void
  readonly version: string
}

/** Gives the exit code: 0 success, 1 the work failed, 2 bad usage or configuration. */
export type Command = (context: CommandContext) => Promise<number>

/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Resolves when the signal aborts. */
export function aborted (signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
