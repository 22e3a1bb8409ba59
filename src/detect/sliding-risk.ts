/** A posting as the rules look at it. */
export interface RulePosting { readonly id: number, readonly timeUs: number, readonly score: number, readonly detection: string, readonly techniques: readonly string[], readonly tactics: readonly string[] }

interface OfDetection {
  count: number
  sum: number
  /** Postings that may become the highest, in the order of time, each lower than those before it or the same. */
  readonly highest: RulePosting[]
}

/** The risk of the postings in a window that slides over them: added at its end and removed at its beginning, in the order of time. */
export function openSlidingRisk (cap: number) {
  const detections = new Map<string, OfDetection>()
  const tactics = new Map<string, number>()
  let score = 0

  const countedOf = ({ sum, highest }: OfDetection) => Math.min(sum, cap * (highest[0]?.score ?? 0))

  return {
    add (posting: RulePosting): void {
      let of = detections.get(posting.detection)
      if (of === undefined) detections.set(posting.detection, of = { count: 0, sum: 0, highest: [] })
      score -= countedOf(of)
      of.count++
      of.sum += posting.score
      while (of.highest.length > 0 && of.highest.at(-1)!.score < posting.score) of.highest.pop()
      of.highest.push(posting)
      score += countedOf(of)
      for (const tactic of posting.tactics) tactics.set(tactic, (tactics.get(tactic) ?? 0) + 1)
    },
    remove (posting: RulePosting): void {
      const of = detections.get(posting.detection)!
      score -= countedOf(of)
      of.count--
      of.sum -= posting.score
      if (of.highest[0] === posting) of.highest.shift()
      score += countedOf(of)
      if (of.count === 0) detections.delete(posting.detection)
      for (const tactic of posting.tactics) {
        const left = tactics.get(tactic)! - 1
        if (left === 0) tactics.delete(tactic)
        else tactics.set(tactic, left)
      }
    },
    score: () => Math.round(score * 100) / 100, // a cap such as 2.5 leaves crumbs
    tactics: () => tactics.size,
    detections: () => detections.size,
  }
}
