import CTuttiHeader
import Tutti
import TuttiSystem

/// The functions of a store that a C program brings, and the context that they share.
///
/// The context is the program's, which is told by `release` that this object's last reference is gone: no call is running
/// then, and none will follow.
private final class StoreFunctions: @unchecked Sendable {
  // @unchecked: immutable; the program's functions may be called from any thread, as the header says.
  let table: tutti_rendezvous

  init(_ table: tutti_rendezvous) { self.table = table }

  deinit { table.release?(table.context) }

  typealias Getter =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?, Int64
    ) -> Int32

  /// Calls `get` or `wait`; nil where nothing is stored.
  func value(_ getter: Getter, _ name: StaticString, _ key: String, _ timeout: Duration) throws(TuttiError) -> [UInt8]? {
    let room = RendezvousLimits.valueBytesMax
    let memory = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
    defer { memory.deallocate() }
    var bytes = 0
    let code = getter(table.context, key, memory, &bytes, timeout.wholeNanoseconds)
    if code == Int32(TUTTI_RENDEZVOUS_NOTHING) { return nil }
    if code != Int32(TUTTI_RENDEZVOUS_OK) { throw failure(name, code) }
    guard (0...room).contains(bytes) else {
      throw TuttiError(
        FailureReport(
          .rendezvous, "the store's '\(name)' says that it gave \(bytes) bytes, and there is room for \(room)",
          advice: "Copy at most TUTTI_RENDEZVOUS_VALUE_MAX bytes, and store their number"))
    }
    return [UInt8](UnsafeRawBufferPointer(start: memory, count: bytes))
  }

  func failure(_ name: StaticString, _ code: Int32) -> TuttiError {
    TuttiError(
      FailureReport(
        .rendezvous, "the store's '\(name)' returned \(code)",
        advice: "Look at the program's own store, which chose that number; 0 and 1 are not errors"))
  }
}

/// A store that a C program brings.
struct CallersStore: Rendezvous {
  private let functions: StoreFunctions
  private let put:
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafeRawPointer?, Int, Int64
    ) -> Int32
  private let get: StoreFunctions.Getter

  /// Makes the store of these functions.
  static func make(_ table: tutti_rendezvous) throws(TuttiError) -> any Rendezvous {
    guard let put = table.put, let get = table.get else {
      throw refusal("a rendezvous has no function '\(table.put == nil ? "put" : "get")'", "Set 'put' and 'get'")
    }
    let store = CallersStore(functions: StoreFunctions(table), put: put, get: get)
    return table.wait.map { WaitingStore(store: store, wait: $0) } ?? store
  }

  /// A store that can wait by itself.
  private struct WaitingStore: Rendezvous {
    let store: CallersStore
    let wait: StoreFunctions.Getter

    func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
      try store.put(value, for: key, timeout: timeout)
    }
    func get(_ key: String, timeout: Duration) throws -> [UInt8]? { try store.get(key, timeout: timeout) }
    func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
      try store.functions.value(wait, "wait", key, timeout)
    }
  }

  func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    let code = put(functions.table.context, key, value, value.count, timeout.wholeNanoseconds)
    if code != Int32(TUTTI_RENDEZVOUS_OK) { throw functions.failure("put", code) }
  }

  func get(_ key: String, timeout: Duration) throws -> [UInt8]? { try functions.value(get, "get", key, timeout) }
}

extension Duration {
  /// In nanoseconds, as far as 64 bits go.
  fileprivate var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflows ? .max : product + attoseconds / 1_000_000_000
  }
}
