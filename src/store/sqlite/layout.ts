/** Longer ones are not kept for what comes next. */
const MAX_KEPT_BYTES = 4 << 20
const FIRST_BYTES = 1 << 16

/** Bytes that are laid out one behind the other, again and again in the same memory. Numbers are little-endian. */
export function openLayout () {
  let bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  let view = new DataView(bytes.buffer)
  let end = 0

  function become (size: number): void {
    const other = Buffer.allocUnsafeSlow(size)
    bytes.copy(other, 0, 0, end)
    bytes = other
    view = new DataView(other.buffer)
  }

  /** Takes so many bytes; gives where they begin. */
  function take (count: number): number {
    const at = end
    if (at + count > bytes.length) become(Math.max(bytes.length * 2, at + count))
    end += count
    return at
  }

  return {
    /** From here on what was laid out before is gone. */
    begin (): void {
      end = 0
      if (bytes.length > MAX_KEPT_BYTES) become(FIRST_BYTES)
    },
    u8 (value: number): void { view.setUint8(take(1), value) },
    u16 (value: number): void { view.setUint16(take(2), value, true) },
    u32 (value: number): void { view.setUint32(take(4), value, true) },
    f64 (value: number): void { view.setFloat64(take(8), value, true) },
    /** Room for numbers that are known later; gives where it begins. */
    skip: take,
    u32At (at: number, value: number): void { view.setUint32(at, value, true) },
    /** In UTF-8; gives how many bytes it has. */
    text (text: string): number {
      const at = take(text.length * 3) // a UTF-16 code unit has no more
      const length = bytes.write(text, at)
      end = at + length
      return length
    },
    /** All of it; good until the next one begins. */
    bytes: (): Buffer => bytes.subarray(0, end),
  }
}
