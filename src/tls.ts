import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Server, ServerOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'
import { Gauge } from 'prom-client'
import type { Config } from './config.js'
import { ConfigError } from './config.js'

type Paths = NonNullable<Config['listen']['tls']>

/**
 * A client that has not shaken hands by then is cut off. At shutdown such a connection is waited for, and `closeAllConnections` does not know it:
 * with Node's own 120 s it would outlast the stop.
 */
const HANDSHAKE_MS = 5_000

/** The certificate that the server shows. Throws ConfigError when the files can't be used. */
export function openTls (paths: Paths, { registry, log }: { registry: Registry, log: FastifyBaseLogger }) {
  const expiry = new Gauge({ name: 'hecate_tls_certificate_expiry_seconds', help: 'Until when the certificate in use is valid, epoch seconds.', registers: [registry] })
  const { pair, validToMs } = loadPair(paths)
  expiry.set(validToMs / 1000)

  return {
    /** For the server that is made; `reload` changes it later. */
    options: { ...pair, handshakeTimeout: HANDSHAKE_MS } satisfies ServerOptions,
    /** Reads both files again. New connections get what is there now, open ones go on; where that can't be used, the old one stays. */
    reload (server: Server): void {
      try {
        const { pair, validToMs } = loadPair(paths)
        server.setSecureContext(pair)
        expiry.set(validToMs / 1000)
        log.info({ valid_to: new Date(validToMs).toISOString() }, 'certificate was read again')
      } catch (err) {
        log.error({ err }, 'certificate could not be read again, the old one stays in use')
      }
    },
  }
}

/** Throws ConfigError, which names the key whose file is wrong. */
function loadPair (paths: Paths) {
  const cert = readPem('listen.tls.cert', paths.cert)
  const key = readPem('listen.tls.key', paths.key)
  const leaf = parsePem('listen.tls.cert', 'is no usable certificate in PEM', () => {
    createSecureContext({ cert }) // the whole chain; X509Certificate reads the first alone, and takes DER too
    return new X509Certificate(cert)
  })
  const privateKey = parsePem('listen.tls.key', 'is no private key in PEM without a passphrase', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey)) throw new ConfigError('listen.tls.key: is not the key of the first certificate in listen.tls.cert')
  return { pair: { cert, key, minVersion: 'TLSv1.2' as const }, validToMs: Date.parse(leaf.validTo) }
}

function readPem (name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ConfigError(`${name}: ${(cause as Error).message}`, { cause })
  }
}

function parsePem<T> (name: string, otherwise: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new ConfigError(`${name}: ${otherwise}: ${(cause as Error).message}`, { cause })
  }
}
