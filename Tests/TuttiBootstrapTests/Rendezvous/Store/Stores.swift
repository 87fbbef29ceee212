import Glibc
import Patience
import TuttiSystem

@testable import TuttiBootstrap

/// A store in memory, shared by threads.
final class MemoryStore: Rendezvous {
  private let values = Lock<[String: [UInt8]]>([:])

  func put(_ value: [UInt8], for key: String, timeout: Duration) { values.withLock { $0[key] = value } }

  func get(_ key: String, timeout: Duration) -> [UInt8]? { values.withLock { $0[key] } }

  var keys: Set<String> { values.withLock { Set($0.keys) } }
}

/// What a store throws.
struct StoreError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A key-value space as PMI-1 has it: put, commit, a barrier of all ranks, and get of what is there; words of limited
/// length.
final class BarrierSpace: Sendable {
  private struct State {
    var staged: [String: String] = [:]
    var committed: [String: String] = [:]
    var waiting = 0
    var barriers = 0
  }

  private let rankCount: Int
  private let state = Lock(State())

  init(rankCount: Int) { self.rankCount = rankCount }

  var barriers: Int { state.withLock { $0.barriers } }

  func put(_ key: String, _ value: String) throws {
    guard key.utf8.count <= 64, value.utf8.count < 1024 else { throw StoreError("put_result rc=-1 msg=too long") }
    guard !(key + value).contains(where: { $0.isWhitespace || $0 == "=" }) else {
      throw StoreError("put_result rc=-1 msg=syntax")
    }
    state.withLock { $0.staged[key] = value }
  }

  func barrier() throws {
    let round = state.withLock { state in
      state.committed.merge(state.staged) { $1 }
      state.waiting += 1
      if state.waiting == rankCount {
        state.waiting = 0
        state.barriers += 1
        return -1
      }
      return state.barriers
    }
    // As a launcher's: without a limit of its own, but that a test must end.
    guard round < 0 || Clock.wait(until: Patience.deadline(seconds: 20), for: { barriers > round }) else {
      throw StoreError("barrier_out never came")
    }
  }

  func get(_ key: String) throws -> String {
    guard let value = state.withLock({ $0.committed[key] }) else { throw StoreError("get_result rc=-1 msg=key_not_found") }
    return value
  }
}

/// One rank's use of such a space, as an adapter would be written.
struct BarrierRendezvous: Rendezvous {
  let space: BarrierSpace

  func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    try space.put(key, String(decoding: value, as: UTF8.self))
    try space.barrier()
  }

  func get(_ key: String, timeout: Duration) throws -> [UInt8]? { Array(try space.get(key).utf8) }

  func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    try space.barrier()
    return Array(try space.get(key).utf8)
  }
}

/// A store that misbehaves.
struct HostileStore: Rendezvous {
  enum Manner: CaseIterable {
    case losesPuts, losesLater, answersLate, neverAnswers, throwsOnPut, throwsOnWait, throwsAtTheEnd, givesNoise, givesALot
    case flipsABit, cutsValues
  }

  let manner: Manner
  let inner = MemoryStore()

  func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    var value = value
    switch manner {
    case .losesPuts: return
    case .throwsOnPut: throw StoreError("the disk is full")
    case .givesNoise: value = Array("not what was put".utf8)
    case .givesALot: value = [UInt8](repeating: 0x61, count: 8 << 20)
    case .flipsABit: value[40] ^= 1
    case .cutsValues: value.removeLast(2)
    default: break
    }
    inner.put(value, for: key, timeout: timeout)
  }

  func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    manner == .losesLater ? nil : inner.get(key, timeout: timeout)
  }

  func wait(for key: String, timeout: Duration) throws -> [UInt8]? {
    let limit = monotonicNanoseconds() + UInt64(timeout / .nanoseconds(1))
    switch manner {
    case .neverAnswers: Clock.pause(UInt64(Patience.seconds(8) * 1e9))
    case .answersLate: _ = Clock.wait(until: limit + Clock.second) { false }
    case .throwsOnWait: throw StoreError("connection reset by the store")
    case .throwsAtTheEnd:
      _ = Clock.wait(until: limit) { false }
      throw StoreError("Timeout waiting for key")
    default: _ = Clock.wait(until: limit) { inner.get(key, timeout: timeout) != nil }
    }
    return inner.get(key, timeout: timeout)
  }
}
