import { FORWARDERS, isPlain } from '../forwarders.js'
import { useRouter } from '../router.js'
import { Code } from './code.js'

/** How events get here: a line to type, and what forwarders are set up with. The address has which of them is shown. */
export function Forwarders ({ secret }: { secret: string | null }) {
  const { query, setQuery } = useRouter()
  const shown = FORWARDERS.find(({ id }) => id === query.get('forwarder')) ?? FORWARDERS[0]!
  return (
    <div class='forwarders'>
      <fieldset class='choice'>
        <legend class='sr-only'>Forwarder</legend>
        {FORWARDERS.map(({ id, name }) => (
          <label key={id}>
            <input type='radio' name='forwarder' value={id} checked={id === shown.id} onChange={() => setQuery({ forwarder: id === FORWARDERS[0]!.id ? null : id }, 'replace')} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <p class='muted small-text'>
        {secret === null
          ? <><code>HEC_TOKEN</code> stands for the secret of a token.</>
          : isPlain(secret)
            ? 'The secret of the token that was just made is filled in. It is not shown again.'
            : <>The secret has characters that each of these would quote in another way: <code>HEC_TOKEN</code> stands for it.</>}
      </p>
      {shown.snippets({ origin: location.origin, secret }).map(({ title, text }) => (
        <section key={title} class='snippet' aria-label={title}>
          <h3>{title}</h3>
          <Code text={text} label={title} />
        </section>
      ))}
    </div>
  )
}
