import { z } from 'zod'
import { Text } from '../detection.js'
import { Expected } from './expected.js'
import type { Place, Problem } from './place.js'

const TimeText = z.union([Text.max(100), z.number()]).transform(String)

/** contentctl's form of a test (its unit_test.py and test_attack_data.py); `scheduled_time` and `expected` are ours, and other readers pass over them. */
export const DetectionTest = z.object({
  name: Text.max(500),
  attack_data: z.array(z.object({
    /** A file, from the folder of the detection's file; a URL is not fetched. */
    data: Text.max(4096),
    source: Text,
    sourcetype: Text,
    custom_index: z.string().nullish().transform(index => index || undefined),
    host: z.string().nullish().transform(host => host || undefined),
  })).min(1),
  earliest_time: TimeText.nullish(),
  latest_time: TimeText.nullish(),
  scheduled_time: TimeText.nullish(),
  expected: Expected.nullish(),
})
export type DetectionTest = z.infer<typeof DetectionTest>

/** A test, or why it is none. */
export type ReadTest = { readonly test: DetectionTest } | { readonly test: null, readonly name: string, readonly problem: string }

/** The tests of a file; what is wrong with one is no reason for its detection not to run. */
export function readTests (tests: unknown, placeOf: (path: readonly PropertyKey[]) => Place): { tests: ReadTest[], problems: Problem[] } {
  if (tests === undefined || tests === null) return { tests: [], problems: [] }
  const problems: Problem[] = []
  const refuse = (path: readonly PropertyKey[], message: string, name: string): ReadTest => {
    const problem = `${path.join('.')}: ${message}`
    problems.push({ ...placeOf(path), message: problem })
    return { test: null, name, problem }
  }
  if (!Array.isArray(tests)) return { tests: [refuse(['tests'], 'expected a list of tests', 'tests')], problems }
  return {
    tests: tests.map((one: unknown, i): ReadTest => {
      const parsed = DetectionTest.safeParse(one)
      if (parsed.success) return { test: parsed.data }
      const [issue] = parsed.error.issues
      const named = z.object({ name: Text }).safeParse(one)
      return refuse(['tests', i, ...issue!.path], issue!.message, named.success ? named.data.name : `test ${i + 1}`)
    }),
    problems,
  }
}
