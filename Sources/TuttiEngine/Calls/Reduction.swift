import CTuttiKernels

/// Says how the values of all ranks become one: everything that depends on an operation and an element type.
///
/// A request carries it, so that it is looked up once a call, by whoever makes the request. The library's own lie in a table
/// that lives as long as the process; requests and operations hold a pointer into it.
@usableFromInline
package struct Reduction {
  /// The number that ranks tell each other.
  package let identifier: UInt8
  /// Combines arrays element-wise.
  package let combine: CombineFunction
  /// Combines, and divides by the rank count; nil for what is no average.
  package let average: AverageFunction?
  /// Whether an average divides contributions as they enter, because partial sums might overflow where the
  /// mean does not.
  package let dividesContributions: Bool
  /// The traits that a plan depends on, in the form that the plan's key has. They are made beforehand, because every call
  /// makes a key, and small calls would notice.
  package let traits: ReductionTraits
}

/// `tutti_combine_function`, not optional.
package typealias CombineFunction =
  @convention(c) (
    UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<UnsafeRawPointer?>?, Int32, Int, Int32
  ) -> Void

/// `tutti_average_function`, not optional.
package typealias AverageFunction =
  @convention(c) (
    UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<UnsafeRawPointer?>?, Int32, Int, Int32, Double,
    UnsafePointer<UInt8>?
  ) -> Void

/// All reductions the library has, by operation and element type. Made once, never freed.
@frozen @usableFromInline
package struct ReductionTable: @unchecked Sendable {
  // @unchecked: what it points to is written before the table is shared, and lives as long as the process.
  /// Eight entries for each type, because the numbers of operations are below eight.
  @usableFromInline let entries: UnsafePointer<UnsafePointer<Reduction>?>
  package static let shared = ReductionTable()

  private init() {
    let count = Int(TUTTI_DATA_TYPE_COUNT) * 8
    let entries = UnsafeMutablePointer<UnsafePointer<Reduction>?>.allocate(capacity: count)
    entries.initialize(repeating: nil, count: count)
    for type in 0..<UInt8(TUTTI_DATA_TYPE_COUNT) {
      for operation in 0..<UInt8(8) {
        guard let reduction = Self.make(operation, type) else { continue }
        let memory = UnsafeMutablePointer<Reduction>.allocate(capacity: 1)
        memory.initialize(to: reduction)
        entries[Int(type) * 8 + Int(operation)] = UnsafePointer(memory)
      }
    }
    self.entries = UnsafePointer(entries)
  }

  /// The reduction of this operation for elements of this type; nil where there is none.
  @inlinable @inline(__always)
  package func find(_ operation: UInt8, dataType: UInt8) -> UnsafePointer<Reduction>? {
    entries[Int(dataType) &* 8 &+ Int(operation)]
  }

  private static func make(_ operation: UInt8, _ type: UInt8) -> Reduction? {
    let isHalf = type == UInt8(TUTTI_FLOAT16) || type == UInt8(TUTTI_BFLOAT16)
    let isFloating = isHalf || type == UInt8(TUTTI_FLOAT32) || type == UInt8(TUTTI_FLOAT64)
    let isAverage = operation == UInt8(TUTTI_OPERATION_COUNT)
    let kernel = isAverage ? Int32(TUTTI_SUM) : Int32(operation)
    let average = isAverage ? tutti_average(Int32(type)) : nil
    guard let combine = tutti_combine(Int32(type), kernel), !isAverage || average != nil else { return nil }
    var traits: ReductionTraits = isAverage && isHalf ? .dividesContributions : []
    let isOrdered = isAverage || operation == UInt8(TUTTI_SUM) || operation == UInt8(TUTTI_PRODUCT)
    if isOrdered, isFloating { traits.insert(.dependsOnOrder) }
    return Reduction(
      identifier: operation, combine: combine, average: average, dividesContributions: isAverage && isHalf, traits: traits)
  }
}
