import { Decoder, Encoder } from '@toondepauw/node-zstd'

/** Compresses what replaces its original: it is decoded once and compared, since what it is made of is going to be removed. */
export function openProvenZstd (level: number): (bytes: Buffer) => Buffer {
  const encoder = new Encoder(level)
  const decoder = new Decoder()
  return bytes => {
    const data = encoder.encodeSync(bytes)
    if (!decoder.decodeSync(data).equals(bytes)) throw new Error('what was packed is not what it was')
    return data
  }
}
