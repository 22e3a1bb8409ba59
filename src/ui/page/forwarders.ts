/** What is set up to send events here, as README.md has it; test/ui/forwarders.test.ts holds one against the other. */

/** Where HEC is, and the secret of its token where it is known: only right after a token was made. */
export interface Receiver { readonly origin: string, readonly secret: string | null }

/** A file, or what is typed in its place. */
export interface Snippet { readonly title: string, readonly text: string }

export interface Forwarder {
  readonly id: string
  readonly name: string
  readonly snippets: (receiver: Receiver) => readonly Snippet[]
}

/** Secrets of other characters would have to be quoted, in each of the languages in its own way: the place of the secret stays. */
const PLAIN = /^[\w.-]+$/

/** Whether a secret can stand in the snippets. */
export const isPlain = (secret: string): boolean => PLAIN.test(secret)

export const FORWARDERS: readonly Forwarder[] = [
  {
    id: 'curl',
    name: 'curl',
    snippets: receiver => [{
      title: 'An event by hand',
      text: `curl ${receiver.origin}/services/collector/event -H "Authorization: Splunk ${secretOr(receiver, '$HEC_TOKEN')}" -d '{
  "sourcetype": "cisco:isovalent",
  "event": {"process_exec":{"process":{"binary":"/usr/bin/nsenter","arguments":"-t 1 -m bash","pod":{"namespace":"shop","name":"web-1"}},
            "parent":{"binary":"/bin/bash"}},"node_name":"n1","cluster_name":"prod-eu"}}'`,
    }],
  },
  {
    id: 'fluent-bit',
    name: 'Fluent Bit',
    snippets: receiver => {
      const { host, port, isTls } = addressOf(receiver)
      return [
        {
          title: 'fluent-bit.conf',
          text: `[SERVICE]
    Parsers_File parsers.conf

[INPUT]
    Name    tail
    Path    /var/run/cilium/tetragon/tetragon.log
    Parser  tetragon
    DB      /var/lib/fluent-bit/tetragon.db

[OUTPUT]
    Name              splunk
    Match             *
    Host              ${host}
    Port              ${port}
    TLS               ${isTls ? 'On' : 'Off'}
    Splunk_Token      ${secretOr(receiver, placeOf('HEC_TOKEN'))}
    event_sourcetype  cisco:isovalent`,
        },
        {
          title: 'parsers.conf',
          text: `# parsers.conf
[PARSER]
    Name         tetragon
    Format       json
    Time_Key     time
    Time_Format  %Y-%m-%dT%H:%M:%S.%L%z
    Time_Keep    On`,
        },
      ]
    },
  },
  {
    id: 'fluentd',
    name: 'fluentd',
    snippets: receiver => {
      const { host, port, isTls } = addressOf(receiver)
      return [{
        title: 'fluent.conf, with fluent-plugin-splunk-hec',
        text: `<source>
  @type tail
  path /var/run/cilium/tetragon/tetragon.log
  pos_file /var/log/fluentd-tetragon.pos
  tag tetragon
  <parse>
    @type json
    time_key time
    time_type string
    time_format %iso8601
    keep_time_key true
  </parse>
</source>

<match tetragon>
  @type splunk_hec
  protocol ${isTls ? 'https' : 'http'}
  hec_host ${host}
  hec_port ${port}
  hec_token "${secretOr(receiver, "#{ENV['HEC_TOKEN']}")}"
  sourcetype cisco:isovalent
</match>`,
      }]
    },
  },
  {
    id: 'otel',
    name: 'OpenTelemetry',
    snippets: receiver => [{
      title: 'Configuration of the Collector (contrib, or Splunk’s distribution)',
      text: `receivers:
  filelog:
    include: [/var/run/cilium/tetragon/tetragon.log]
    operators:
      - type: json_parser
        parse_to: attributes
        timestamp:
          parse_from: attributes.time
          layout_type: gotime
          layout: 2006-01-02T15:04:05.999999999Z07:00
      - type: retain
        fields: [body]
exporters:
  splunk_hec:
    endpoint: ${receiver.origin}/services/collector
    token: ${secretOr(receiver, placeOf('env:HEC_TOKEN'))}
    sourcetype: cisco:isovalent
service:
  pipelines:
    logs: { receivers: [filelog], exporters: [splunk_hec] }`,
    }],
  },
]

/** As Fluent Bit and the Collector refer to a variable. */
const placeOf = (variable: string): string => `\${${variable}}`

function secretOr ({ secret }: Receiver, place: string): string {
  return secret !== null && isPlain(secret) ? secret : place
}

function addressOf ({ origin }: Receiver): { readonly host: string, readonly port: string, readonly isTls: boolean } {
  const { hostname, port, protocol } = new URL(origin)
  const isTls = protocol === 'https:'
  return { host: hostname, port: port === '' ? isTls ? '443' : '80' : port, isTls }
}
