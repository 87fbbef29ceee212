// Reads the structures of options, whose sizes say which version of the header they come from.

import CTuttiHeader
import Tutti
import TuttiSystem

/// A structure whose first member is its size in bytes.
protocol SizedStructure {
  /// What a NULL pointer stands for.
  static var initial: Self { get }
  /// The name of the macro that initialises it.
  static var macro: StaticString { get }
  /// The sizes that it had in earlier headers: members are only ever added at its end.
  static var earlierSizes: [Int] { get }
}

extension SizedStructure {
  /// The largest size that any version will have; more is taken for a mistake.
  private static var sizeMax: Int { 4096 }
  static var earlierSizes: [Int] { [] }

  /// Reads a structure of the caller's. Members that an earlier header lacks are as in ``initial``. A structure of a later
  /// header is read where the members that this library does not know are zero.
  ///
  /// - Parameter pointer: nil for ``initial``.
  static func read(_ pointer: UnsafePointer<Self>?) throws(TuttiError) -> Self {
    guard let pointer else { return initial }
    let known = MemoryLayout<Self>.size
    let size = UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
    if size == known { return pointer.pointee }
    if earlierSizes.contains(size) {
      var read = initial
      withUnsafeMutableBytes(of: &read) { $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size)) }
      return read
    }
    guard size > known && size <= sizeMax else {
      throw refusal("a \(Self.self) says that it has \(size) bytes, and it has \(known)", "Initialise it with \(macro)")
    }
    let rest = UnsafeRawBufferPointer(start: UnsafeRawPointer(pointer) + known, count: size - known)
    if rest.allSatisfy({ $0 == 0 }) { return pointer.pointee }
    throw TuttiError(
      FailureReport(
        .version, "a \(Self.self) sets members that this library does not know: it has \(size) bytes, not \(known)",
        advice: "Install a library as new as the header"))
  }
}

extension tutti_options: SizedStructure {
  static var initial: tutti_options {
    tutti_options(
      size: MemoryLayout<tutti_options>.size, transport: TUTTI_TRANSPORT_AUTO, secret_kind: TUTTI_SECRET_ENVIRONMENT,
      secret: nil, secret_bytes: 0, timeout_ns: 0, join_timeout_ns: 0, checks_strictly: 0, topology_file: nil,
      bits: TUTTI_BITS_ENVIRONMENT, tuning_file: nil, tls: 0)
  }
  /// Without `bits` and `tuning_file`, and without `tls`.
  static let earlierSizes = [64, 80]
  static var macro: StaticString { "TUTTI_OPTIONS_INIT" }
}

extension tutti_call: SizedStructure {
  static var initial: tutti_call { tutti_call(size: MemoryLayout<tutti_call>.size, timeout_ns: 0, algorithm: nil) }
  static var macro: StaticString { "TUTTI_CALL_INIT" }
}

extension tutti_rendezvous: SizedStructure {
  static var initial: tutti_rendezvous {
    tutti_rendezvous(
      size: MemoryLayout<tutti_rendezvous>.size, context: nil, put: nil, get: nil, wait: nil, release: nil)
  }
  static var macro: StaticString { "TUTTI_RENDEZVOUS_INIT" }
}

/// What a single call sets.
struct CallSettings {
  var timeout: Duration?
  var algorithm = AlgorithmName.automatic

  @inline(__always)
  init(_ pointer: UnsafePointer<tutti_call>?) throws(TuttiError) {
    if pointer != nil { self = try Self.read(pointer) }
  }

  private init(timeout: Duration?, algorithm: AlgorithmName) {
    self.timeout = timeout
    self.algorithm = algorithm
  }

  @inline(never)
  private static func read(_ pointer: UnsafePointer<tutti_call>?) throws(TuttiError) -> CallSettings {
    let call = try tutti_call.read(pointer)
    return CallSettings(
      timeout: try limit(call.timeout_ns, "timeout_ns"),
      algorithm: call.algorithm.map { AlgorithmName(String(cString: $0)) } ?? .automatic)
  }
}

/// A limit of time; nil for 0, which stands for the usual one.
func limit(_ nanoseconds: Int64, _ name: StaticString) throws(TuttiError) -> Duration? {
  if nanoseconds < 0 {
    throw refusal("\(name) is negative (\(nanoseconds))", "Give nanoseconds, or 0 for the usual limit")
  }
  return nanoseconds == 0 ? nil : .nanoseconds(nanoseconds)
}

/// How a communicator is to be made.
struct JoinSettings {
  var options = CommunicatorOptions()
  var secret = JoinSecret.environment

  init(_ pointer: UnsafePointer<tutti_options>?) throws(TuttiError) {
    let given = try tutti_options.read(pointer)
    switch given.transport {
    case TUTTI_TRANSPORT_AUTO: options.transport = .auto
    case TUTTI_TRANSPORT_SHARED_MEMORY: options.transport = .sharedMemory
    case TUTTI_TRANSPORT_TCP: options.transport = .tcp
    case TUTTI_TRANSPORT_RDMA: options.transport = .rdma
    default: throw refusal("\(given.transport.rawValue) is no transport", "Use a value of tutti_transport")
    }
    secret = try Self.secret(of: given)
    if let timeout = try limit(given.timeout_ns, "timeout_ns") { options.timeout = timeout }
    options.joinTimeout = try limit(given.join_timeout_ns, "join_timeout_ns")
    options.checksStrictly = given.checks_strictly != 0
    if let file = given.topology_file { options.topology = try JobTopology(contentsOf: String(cString: file)) }
    switch given.bits {
    case TUTTI_BITS_ENVIRONMENT: break
    case TUTTI_BITS_ANY: options.bits = .any
    case TUTTI_BITS_CLASS: options.bits = .class
    case TUTTI_BITS_CANONICAL: options.bits = .canonical
    default: throw refusal("\(given.bits.rawValue) is no kind of bits", "Use a value of tutti_bits")
    }
    if given.tls != 0 { options.tls = true }
    if let file = given.tuning_file { options.tuning = try JobTuning(contentsOf: String(cString: file)) }
  }

  private static func secret(of given: tutti_options) throws(TuttiError) -> JoinSecret {
    switch given.secret_kind {
    case TUTTI_SECRET_ENVIRONMENT where given.secret != nil:
      throw refusal("a secret is given, but secret_kind says the environment's", "Set secret_kind to TUTTI_SECRET_BYTES")
    case TUTTI_SECRET_ENVIRONMENT: return .environment
    case TUTTI_SECRET_PUBLISHED: return .published
    case TUTTI_SECRET_BYTES:
      guard let bytes = given.secret, (1...bytesMax).contains(given.secret_bytes) else {
        throw refusal(
          "the secret is NULL, or has \(given.secret_bytes) bytes",
          "Give the address of 1 to \(bytesMax) bytes, 32 random ones for example")
      }
      return .bytes([UInt8](UnsafeRawBufferPointer(start: bytes, count: given.secret_bytes)))
    default: throw refusal("\(given.secret_kind.rawValue) is no kind of secret", "Use a value of tutti_secret")
    }
  }

  /// The longest secret, in bytes.
  private static let bytesMax = 1 << 20
}
