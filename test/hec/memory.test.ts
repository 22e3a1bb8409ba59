import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { isAlone, letGo } from '../../src/hec/memory.js'

t.test('memory is let go of at once, but for what is shared with others', async t => {
  await setTimeout(10) // until nobody listens
  const large = Array.from({ length: 20 }, () => Buffer.allocUnsafeSlow(1 << 20))
  const part = Buffer.allocUnsafeSlow(100).fill(7).subarray(0, 50)
  const pooled = Buffer.from('small')
  t.strictSame([large[0]!, part, pooled].map(isAlone), [true, false, false])

  const before = process.memoryUsage().arrayBuffers
  letGo([...large, part, pooled])

  t.ok(before - process.memoryUsage().arrayBuffers > 19 << 20)
  t.strictSame(large.map(({ length }) => length), large.map(() => 0))
  t.strictSame([...part.subarray(0, 2)], [7, 7])
  t.equal(pooled.toString(), 'small')
})
