export type ErrorCode = 'invalid' | 'unauthorized' | 'forbidden' | 'not_found' | 'conflict' | 'precondition_failed' | 'too_large' | 'unavailable'

/** One wrong member of a request; `pointer` is a JSON pointer into it (RFC 6901). */
export interface ErrorDetail { pointer: string, detail: string }

/** An error whose message the caller may read. Everything else that is thrown is a defect. */
export class AppError extends Error {
  override name = 'AppError'
  readonly errors: readonly ErrorDetail[]
  constructor (readonly code: ErrorCode, message: string, options?: ErrorOptions & { errors?: readonly ErrorDetail[] }) {
    super(message, options)
    this.errors = options?.errors ?? []
  }
}
