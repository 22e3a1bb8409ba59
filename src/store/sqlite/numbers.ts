/** Numbers different values, from 1 on in the order in which they come. */
export function openNumbers<T> () {
  const numbers = new Map<T, number>()
  const values: T[] = []
  return {
    /** The number of a value, of the next one where it is new. */
    numberOf (value: T): number {
      let number = numbers.get(value)
      if (number === undefined) {
        number = values.push(value)
        numbers.set(value, number)
      }
      return number
    },
    valueOf: (number: number): T => values[number - 1]!,
  }
}
