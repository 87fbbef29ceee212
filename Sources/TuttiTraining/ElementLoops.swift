// Loops over gradients, compiled for Float and for Double: generic code of one module is not specialised for its callers in
// others.

import CTuttiKernels
import Tutti

enum ElementLoops {
  /// Whether every element is a number whose magnitude is not above `limit`.
  static func areFinite<Element: TrainingElement>(_ elements: UnsafeBufferPointer<Element>, upTo limit: Element) -> Bool {
    Element.self == Float.self
      ? finite(recast(elements, Float.self), Float(limit)) : finite(recast(elements, Double.self), Double(limit))
  }

  /// The sum of the elements' squares, in float64. The order of the additions depends on the count alone.
  static func sumOfSquares<Element: TrainingElement>(_ elements: UnsafeBufferPointer<Element>) -> Double {
    Element.self == Float.self ? squares(recast(elements, Float.self)) : squares(recast(elements, Double.self))
  }

  /// Multiplies every element.
  static func scale<Element: TrainingElement>(_ elements: UnsafeMutableBufferPointer<Element>, by factor: Double) {
    if Element.self == Float.self {
      multiply(recast(elements, Float.self), Float(factor))
    } else {
      multiply(recast(elements, Double.self), factor)
    }
  }

  /// Multiplies each element by `scale` and rounds it to 16 bits.
  static func narrow(
    _ elements: UnsafeBufferPointer<Float>, to wire: UnsafeMutableRawPointer, _ type: DataType, scale: Float
  ) {
    if elements.isEmpty { return }
    tutti_narrow(Int32(type.rawValue), wire, elements.baseAddress, elements.count, scale)
  }

  /// Converts each element from 16 bits, which is exact.
  static func widen(_ wire: UnsafeRawPointer, _ type: DataType, to elements: UnsafeMutableBufferPointer<Float>) {
    if elements.isEmpty { return }
    tutti_widen(Int32(type.rawValue), elements.baseAddress, wire, elements.count)
  }

  @inline(__always)
  private static func recast<Element, Other>(
    _ elements: UnsafeBufferPointer<Element>, _ other: Other.Type
  ) -> UnsafeBufferPointer<Other> {
    UnsafeBufferPointer(
      start: UnsafeRawPointer(elements.baseAddress)?.assumingMemoryBound(to: Other.self), count: elements.count)
  }

  @inline(__always)
  private static func recast<Element, Other>(
    _ elements: UnsafeMutableBufferPointer<Element>, _ other: Other.Type
  ) -> UnsafeMutableBufferPointer<Other> {
    UnsafeMutableBufferPointer(mutating: recast(UnsafeBufferPointer(elements), other))
  }

  /// Scales elements so that those above the limit become infinite, and sums zero times each. Zero times a finite number is
  /// zero; otherwise it is NaN, and so is the sum. (Where the limit is the largest number, nothing is above it, and the
  /// scale is zero.)
  @inline(__always)
  private static func finite<Number: TrainingElement>(_ elements: UnsafeBufferPointer<Number>, _ limit: Number) -> Bool {
    let scale = Number.greatestFiniteMagnitude / limit.nextUp
    var sums = SIMD16<Number>.zero
    var index = 0
    if let base = UnsafeRawPointer(elements.baseAddress) {
      while index + 16 <= elements.count {
        let lanes = base.loadUnaligned(fromByteOffset: index * MemoryLayout<Number>.stride, as: SIMD16<Number>.self)
        sums += lanes * scale * 0
        index += 16
      }
    }
    var sum = sums.sum()
    while index < elements.count {
      sum += elements[index] * scale * 0
      index += 1
    }
    return sum == 0
  }

  @inline(__always)
  private static func squares<Number: TrainingElement>(_ elements: UnsafeBufferPointer<Number>) -> Double {
    var sums = SIMD8<Double>.zero
    var index = 0
    while index + 8 <= elements.count {
      var lanes = SIMD8<Double>.zero
      for lane in 0..<8 { lanes[lane] = Double(elements[index + lane]) }
      sums += lanes * lanes
      index += 8
    }
    var sum = sums.sum()
    while index < elements.count {
      sum += Double(elements[index]) * Double(elements[index])
      index += 1
    }
    return sum
  }

  @inline(__always)
  private static func multiply<Number: TrainingElement>(_ elements: UnsafeMutableBufferPointer<Number>, _ factor: Number) {
    for index in elements.indices { elements[index] *= factor }
  }
}
