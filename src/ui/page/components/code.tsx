import { useToast } from './toast.js'
import { Visible } from '../text.js'

/** Text to read and copy, as it is; characters that can't be seen are shown, and copied as they are. */
export function Code ({ text, label, wrap = false }: { text: string, label: string, wrap?: boolean }) {
  return (
    <div class='code'>
      <CopyButton text={text} what={label} />
      <pre tabIndex={0} role='region' aria-label={label} class={wrap ? 'wrap' : ''}><code><Visible text={text} lines /></code></pre>
    </div>
  )
}

/** A value as JSON, two spaces deep. */
export function Json ({ value, label }: { value: unknown, label: string }) {
  return <Code text={JSON.stringify(value, null, 2) ?? 'undefined'} label={label} />
}

export function CopyButton ({ text, what, label = 'Copy' }: { text: string, what: string, label?: string }) {
  const { tell, fail } = useToast()
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      tell(`Copied: ${what}`)
    } catch {
      fail(new Error('the browser does not let this page copy; select the text and copy it by hand'))
    }
  }
  return <button type='button' class='small copy' aria-label={`${label}: ${what}`} onClick={() => { copy() }}>{label}</button>
}
