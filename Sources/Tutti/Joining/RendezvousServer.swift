// A store of Tutti's own, for programs that make groups by hand and have no other.

import TuttiBootstrap
import TuttiSystem

/// A store at an address, for ranks to meet over: values are kept in this process, and served over TCP or a Unix socket to
/// every ``RendezvousClient`` that proves the secret.
///
/// `TUTTI_TLS=1` encrypts its connections over TCP, on the server and all clients alike.
///
/// The process that owns the server puts and gets values directly. The server runs until it is closed or its last reference
/// is dropped: groups can be made over it at any time until then. Ranks that all meet once, at an address, need none: see
/// ``Communicator/join(rank:rankCount:address:listener:secret:options:environment:)``.
public final class RendezvousServer: Rendezvous {
  private let server: StoreServer

  /// Starts to serve.
  ///
  /// - Parameters:
  ///   - address: `host:port`, `[IPv6]:port`, or `unix:@name` for processes of one host.
  ///   - listener: A stream socket that listens there already; the server's from here on, also when this throws.
  ///   - secret: Bytes that clients prove to know; random ones, 32 for example. They are never sent.
  /// - Throws: ``TuttiError`` with `.rendezvous` when it cannot listen there, `.authentication` when the secret is empty,
  ///   `.invalidArgument`, `.configuration`, `.resources`.
  public init(address: String, listener: Int32? = nil, secret: [UInt8]) throws(TuttiError) {
    do throws(FailureReport) {
      let socket = try listener.map { descriptor throws(FailureReport) in try ListeningSocket(descriptor) }
      server = try StoreServer(
        RendezvousClient.read(address), listener: socket, secret: RendezvousClient.read(secret))
    } catch { throw TuttiError(error) }
  }

  /// Ends the service. Idempotent.
  public func close() { server.close() }

  public func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    try RendezvousClient.check(key, value)
    if !server.put(value, for: key) {
      throw TuttiError(FailureReport(.resources, "the store is full", advice: "Start a new one for each job"))
    }
  }

  public func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    try RendezvousClient.check(key)
    return server.get(key)
  }
}

/// The store of a ``RendezvousServer`` in another process.
public struct RendezvousClient: Rendezvous {
  private let client: StoreClient

  /// - Parameters:
  ///   - address: The server's.
  ///   - secret: The server's.
  /// - Throws: ``TuttiError`` with `.invalidArgument` where `address` is not one, `.authentication` where the secret is
  ///   empty. Whether a server is there shows at the first call.
  public init(address: String, secret: [UInt8]) throws(TuttiError) {
    do throws(FailureReport) { client = StoreClient(try Self.read(address), secret: try Self.read(secret)) } catch {
      throw TuttiError(error)
    }
  }

  public func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    try Self.check(key, value)
    try reporting { () throws(FailureReport) in try client.put(value, for: key, deadline: Self.deadline(timeout)) }
  }

  public func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    try Self.check(key)
    return try reporting { () throws(FailureReport) in try client.get(key, deadline: Self.deadline(timeout)) }
  }

  public func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    try Self.check(key)
    return try reporting { () throws(FailureReport) in try client.wait(for: key, deadline: Self.deadline(timeout)) }
  }

  /// Refuses what does not fit ``RendezvousLimits``, before any of it is sent or stored.
  static func check(_ key: String, _ value: [UInt8] = []) throws(TuttiError) {
    let (keyMax, valueMax) = (RendezvousLimits.keyBytesMax, RendezvousLimits.valueBytesMax)
    if (1...keyMax).contains(key.utf8.count) && value.count <= valueMax { return }
    throw TuttiError(
      FailureReport(
        .invalidArgument,
        "a store takes keys of 1 to \(keyMax) bytes and values of up to \(valueMax), not \(key.utf8.count) and \(value.count)",
        advice: "Choose a shorter key, or put larger values elsewhere"))
  }

  private func reporting<Value>(_ body: () throws(FailureReport) -> Value) throws(TuttiError) -> Value {
    do throws(FailureReport) { return try body() } catch { throw TuttiError(error) }
  }

  private static func deadline(_ timeout: Duration) -> UInt64 { monotonicNanoseconds() &+ Communicator.nanoseconds(timeout) }

  static func read(_ address: String) throws(FailureReport) -> RendezvousAddress {
    if let address = RendezvousAddress(address) { return address }
    throw FailureReport(
      .invalidArgument, "\"\(address)\" is not an address to serve a store at",
      advice: "Write host:port, [IPv6]:port, or unix:@name for processes of one host")
  }

  static func read(_ secret: [UInt8]) throws(FailureReport) -> JobSecret {
    if !secret.isEmpty {
      let secret = JobSecret(bytes: secret, origin: "the program")
      var options = CommunicatorOptions()
      let environment = Communicator.processEnvironment()
      try options.readEncryption(environment)
      return try options.encryption(of: secret, environment) ?? secret
    }
    throw FailureReport(.authentication, "the store's secret is empty", advice: "Use 32 random bytes")
  }
}
