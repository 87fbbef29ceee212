// What a program asks of the library itself, rather than of a communicator.

import CTuttiHeader
import Tutti
import TuttiSystem

@c @implementation
public func tutti_code_name(_ code: tutti_code) -> UnsafePointer<CChar>? {
  let name: StaticString =
    switch FailureCode(rawValue: UInt8(truncatingIfNeeded: code.rawValue)) {
    case nil: code == TUTTI_OK ? "ok" : "unknown"
    case _ where code.rawValue > UInt32(UInt8.max): "unknown"
    case .invalidArgument: "invalid argument"
    case .configuration: "configuration"
    case .rendezvous: "rendezvous"
    case .authentication: "authentication"
    case .version: "version"
    case .mismatch: "mismatch"
    case .timeout: "timeout"
    case .peerLost: "peer lost"
    case .transport: "transport"
    case .aborted: "aborted"
    case .closed: "closed"
    case .unproven: "unproven"
    case .resources: "resources"
    case .nonFinite: "non-finite"
    }
  return UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
}

/// The number in the header that the library was compiled with: the macro is an expression, which Swift does not see.
private let ownVersion = TUTTI_VERSION_MAJOR * 10_000 + TUTTI_VERSION_MINOR * 100 + TUTTI_VERSION_PATCH

@c @implementation
public func tutti_version() -> Int32 { ownVersion }

@c @implementation
public func tutti_check_version(_ header_version: Int32) -> tutti_code {
  attempt { () throws(TuttiError) in
    // Before 1.0 a minor version may change anything.
    let series: Int32 = ownVersion < 10_000 ? 100 : 10_000
    if header_version <= ownVersion && header_version / series == ownVersion / series { return }
    throw TuttiError(
      FailureReport(
        .version, "the program was compiled with tutti.h of version \(header_version), and the library is of \(ownVersion)",
        advice: "Compile it with the header that was installed with the library"))
  }
}

@c @implementation
public func tutti_type_size(_ type: tutti_type, _ bytes: UnsafeMutablePointer<Int>?) -> tutti_code {
  attempt { () throws(TuttiError) in try place(bytes, "bytes").pointee = try DataType(type).size }
}

extension DataType {
  /// Refuses what is no type.
  @inline(__always)
  init(_ type: tutti_type) throws(TuttiError) {
    guard let known = DataType(rawValue: UInt8(clamping: type.rawValue)) else { throw unknownType(type) }
    self = known
  }
}

extension ReduceOp {
  /// Refuses what is no operation.
  @inline(__always)
  init(_ operation: tutti_op) throws(TuttiError) {
    guard let known = ReduceOp(rawValue: UInt8(clamping: operation.rawValue)) else { throw unknownOperation(operation) }
    self = known
  }
}

@inline(never)
private func unknownType(_ type: tutti_type) -> TuttiError {
  refusal("\(type.rawValue) is no type of elements", "Use a value of tutti_type")
}

@inline(never)
private func unknownOperation(_ operation: tutti_op) -> TuttiError {
  refusal("\(operation.rawValue) is no operation", "Use a value of tutti_op")
}
