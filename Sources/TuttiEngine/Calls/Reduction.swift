import CTuttiKernels

/// Says how the values of all ranks become one: everything that depends on an operation and an element type.
///
/// A request carries it, so that it is looked up once a call, by whoever makes the request. The library's own lie in a table
/// that lives as long as the process; requests and operations hold a pointer into it.
@usableFromInline
package struct Reduction {
  /// The number that ranks tell each other.
  package let identifier: UInt8
  /// What a person calls it: `sum`.
  package let name: StaticString
  /// Whether the ranks' values may be combined in any order. Schedules may reorder only what is commutative.
  package let isCommutative: Bool
  /// The bits of the element that changes no other when the two are combined.
  package let identity: UInt64
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
    let isAverage = operation == UInt8(TUTTI_OPERATION_COUNT)
    let kernel = isAverage ? Int32(TUTTI_SUM) : Int32(operation)
    let average = isAverage ? tutti_average(Int32(type)) : nil
    guard let combine = tutti_combine(Int32(type), kernel), !isAverage || average != nil else { return nil }
    var traits: ReductionTraits = isAverage && isHalf ? .dividesContributions : []
    let isOrdered = isAverage || operation == UInt8(TUTTI_SUM) || operation == UInt8(TUTTI_PRODUCT)
    if isOrdered, ElementFormat(Int32(type)).isFloating { traits.insert(.dependsOnOrder) }
    return Reduction(
      identifier: operation, name: name(operation), isCommutative: true, identity: identity(Int32(kernel), Int32(type)),
      combine: combine, average: average, dividesContributions: isAverage && isHalf, traits: traits)
  }

  private static func name(_ operation: UInt8) -> StaticString {
    switch Int(operation) {
    case Int(TUTTI_SUM): "sum"
    case Int(TUTTI_PRODUCT): "product"
    case Int(TUTTI_MIN): "min"
    case Int(TUTTI_MAX): "max"
    case Int(TUTTI_BITWISE_AND): "bitwise-and"
    case Int(TUTTI_BITWISE_OR): "bitwise-or"
    case Int(TUTTI_BITWISE_XOR): "bitwise-xor"
    default: "average"
    }
  }

  /// The bits of the neutral element. A sum of floating point has -0: 0 would change the sign of -0.
  private static func identity(_ operation: Int32, _ type: Int32) -> UInt64 {
    let format = ElementFormat(type)
    switch Int(operation) {
    case Int(TUTTI_PRODUCT): return format.one
    case Int(TUTTI_MIN): return format.greatest
    case Int(TUTTI_MAX): return format.least
    case Int(TUTTI_BITWISE_AND): return format.mask
    case Int(TUTTI_SUM) where format.isFloating: return format.sign
    default: return 0
    }
  }
}

/// Where the extremes of an element type lie among its bits.
private struct ElementFormat {
  let bits: UInt64
  let isSigned: Bool
  let isFloating: Bool
  let one: UInt64
  let infinity: UInt64

  init(_ type: Int32) {
    let (bits, isSigned, one, infinity): (UInt64, Bool, UInt64, UInt64) =
      switch Int(type) {
      case Int(TUTTI_INT8): (8, true, 1, 0)
      case Int(TUTTI_UINT8): (8, false, 1, 0)
      case Int(TUTTI_INT16): (16, true, 1, 0)
      case Int(TUTTI_UINT16): (16, false, 1, 0)
      case Int(TUTTI_BOOL): (1, false, 1, 0)
      case Int(TUTTI_INT32): (32, true, 1, 0)
      case Int(TUTTI_UINT32): (32, false, 1, 0)
      case Int(TUTTI_INT64): (64, true, 1, 0)
      case Int(TUTTI_UINT64): (64, false, 1, 0)
      case Int(TUTTI_FLOAT16): (16, true, 0x3C00, 0x7C00)
      case Int(TUTTI_BFLOAT16): (16, true, 0x3F80, 0x7F80)
      case Int(TUTTI_FLOAT32): (32, true, 0x3F80_0000, 0x7F80_0000)
      default: (64, true, 0x3FF0_0000_0000_0000, 0x7FF0_0000_0000_0000)
      }
    self.bits = bits
    self.isSigned = isSigned
    self.one = one
    self.infinity = infinity
    isFloating = infinity != 0
  }

  var mask: UInt64 { bits == 64 ? .max : 1 << bits - 1 }
  var sign: UInt64 { 1 << (bits - 1) }
  var greatest: UInt64 { isFloating ? infinity : isSigned ? sign - 1 : mask }
  var least: UInt64 { isFloating ? infinity | sign : isSigned ? sign : 0 }
}
