import TuttiSystem

/// Where ranks that do not know each other yet leave values for each other: a PyTorch Store, a launcher's key-value space, a
/// folder that all of them see.
///
/// Joining over one makes few calls, one at a time. Rank 0 puts one value: where it can be reached. Every other rank waits
/// for that value once, and while rank 0 cannot be reached there, gets it again, because an earlier run may have left it.
/// Everything else goes over connections that prove the job's secret.
///
/// A space that has a barrier instead of a wait (PMI-1) can serve a join of all its ranks: `put` stores, commits and enters
/// the barrier, `wait` enters the barrier and gets.
///
/// Keys are up to ``RendezvousLimits/keyBytesMax`` bytes of letters, digits and `.`, `_`, `-`, `/`. Values that Tutti puts
/// are up to ``RendezvousLimits/valueBytesMax`` bytes of letters, digits and `:`, so that a space for words can hold them.
///
/// Calls come from threads of the library's own. One that does not come back in time is left behind: it must do no harm when
/// it goes on.
public protocol Rendezvous: Sendable {
  /// Stores `value` under `key` for all ranks, in place of what was there.
  ///
  /// - Throws: Any error; it ends the join, and is the cause of what the join throws.
  func put(_ value: [UInt8], for key: String, timeout: Duration) throws

  /// What is stored under `key` now; nil when nothing is.
  func get(_ key: String, timeout: Duration) throws -> [UInt8]?

  /// Waits until something is stored under `key`, and returns it; nil, or an error, when `timeout` has passed.
  func wait(for key: String, timeout: Duration) throws -> [UInt8]?
}

extension Rendezvous {
  /// Gets the value again and again: for stores that cannot wait.
  public func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    // The store is the caller's, and so is the time it waits by.
    let clock = MonotonicClock.system
    let deadline = clock.deadline(after: timeout)
    while true {
      let now = clock.now()
      if now >= deadline { return nil }
      if let value = try get(key, timeout: .nanoseconds(Int64(clamping: deadline - now))) { return value }
      clock.pause(10 * Clock.millisecond)
    }
  }
}

/// What a ``Rendezvous`` must be able to hold.
public enum RendezvousLimits {
  /// Bytes of the longest key: what PMI-1 allows.
  public static let keyBytesMax = 64
  /// Bytes of the largest value: a little less than PMI-1 allows.
  public static let valueBytesMax = 1000
}

/// Where the ranks of a communicator meet.
package enum MeetingPlace: Sendable {
  /// At an address that all of them know. Rank 0 listens there, or is given a socket that does.
  case address(RendezvousAddress, listener: ListeningSocket? = nil)
  /// Rank 0 listens where it can, and leaves word of it in a store under a key.
  case store(any Rendezvous, key: String)

  /// The key of the communicator called `name`; nil when that cannot be part of a key.
  package static func key(_ name: String) -> String? {
    let key = "tutti-\(name)"
    let isPlain = name.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || "._-/".utf8.contains($0)
    }
    return isPlain && !name.isEmpty && key.utf8.count <= RendezvousLimits.keyBytesMax ? key : nil
  }

  /// The address that all ranks know; nil when they meet over a store.
  var address: RendezvousAddress? {
    if case .address(let address, _) = self { return address }
    return nil
  }
}

extension MeetingPlace: CustomStringConvertible {
  package var description: String {
    switch self {
    case .address(let address, _): address.description
    case .store(let store, let key): "\(type(of: store)) under \"\(key)\""
    }
  }
}
