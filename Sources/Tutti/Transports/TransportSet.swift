/// Several transports at once, such as those that carry a communicator's data; each at most once, and never `auto`.
///
/// The elements are always in the same order, and the ``description`` is that of `collbench`'s results: `shm+tcp`.
///
/// ```swift
/// if communicator.lastOperation.transports.contains(.tcp) { print("not all ranks share memory") }
/// ```
public struct TransportSet: Hashable, Sendable, RandomAccessCollection, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// Without repetitions, in the order of results.
  private let elements: [TransportChoice]

  /// The set of these transports, in any order.
  public init(_ transports: some Sequence<TransportChoice>) {
    let order = BuiltInTransports.namesInResults
    elements = Set(transports).sorted {
      (order.firstIndex(of: $0.name) ?? order.count, $0.name) < (order.firstIndex(of: $1.name) ?? order.count, $1.name)
    }
  }

  /// The set of these transports, in any order.
  public init(arrayLiteral transports: TransportChoice...) { self.init(transports) }

  /// 0.
  public var startIndex: Int { 0 }
  /// The number of transports.
  public var endIndex: Int { elements.count }

  /// - Parameter position: In `0..<endIndex`.
  public subscript(position: Int) -> TransportChoice { elements[position] }

  /// The names, joined by `+`; empty for no transport.
  public var description: String { elements.map(\.name).joined(separator: "+") }
}
