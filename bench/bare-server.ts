import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A process whose HTTP server collects each body and answers 200: what Node itself costs. Sends its port to the parent. */

const REPLY = '{"text":"Success","code":0}'

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': REPLY.length })
    response.end(REPLY)
  })
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
