import CTuttiHeader
import Synchronization
import Tutti
import TuttiSystem

/// The communicators that C programs hold: a handle is the address of a slot.
///
/// Slots are never given back and never used again, so that a handle that outlives its communicator is recognised; each
/// costs eight bytes for the life of the process. A slot owns a reference to its communicator until it is freed.
struct CommunicatorHandle {
  /// The communicator, retained, or 0. The memory lives as long as the process.
  private let slot: UnsafeMutablePointer<Atomic<UInt>>

  /// Slots that no handle has yet. Owned by nobody: see the type.
  private static let fresh = Lock((next: UnsafeMutablePointer<Atomic<UInt>>?.none, left: 0))
  private static let blockCapacity = 512

  /// Makes a handle that owns a reference to `communicator`.
  init(_ communicator: Communicator) {
    slot = Self.fresh.withLock { fresh in
      if fresh.left == 0 {
        let block = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: Self.blockCapacity)
        for index in 0..<Self.blockCapacity { (block + index).initialize(to: Atomic(0)) }
        fresh = (block, Self.blockCapacity)
      }
      let slot = fresh.next.unsafelyUnwrapped
      fresh = (slot + 1, fresh.left - 1)
      return slot
    }
    slot.pointee.store(UInt(bitPattern: Unmanaged.passRetained(communicator).toOpaque()), ordering: .releasing)
  }

  /// The handle that a C program hands in.
  @inline(__always)
  init(_ pointer: OpaquePointer) { slot = UnsafeMutablePointer(pointer) }

  /// What the C program is given.
  var pointer: OpaquePointer { OpaquePointer(slot) }

  /// The communicator, alive as long as nobody frees the handle; nil when somebody has.
  @inline(__always)
  var communicator: Unmanaged<Communicator>? {
    UnsafeRawPointer(bitPattern: slot.pointee.load(ordering: .acquiring)).map(Unmanaged.fromOpaque)
  }

  /// Takes the reference out of the slot; nil when that was done before.
  func take() -> Communicator? {
    let word = slot.pointee.exchange(0, ordering: .acquiringAndReleasing)
    return UnsafeRawPointer(bitPattern: word).map { Unmanaged<Communicator>.fromOpaque($0).takeRetainedValue() }
  }
}

/// Calls `body` with the communicator of a handle, and returns its code. Every call on a communicator goes this way, small
/// and frequent ones too, so nothing is retained.
@inline(__always)
func call(_ pointer: OpaquePointer?, _ body: (Communicator) throws(TuttiError) -> Void) -> tutti_code {
  guard let pointer, let communicator = CommunicatorHandle(pointer).communicator else { return refuseHandle(pointer) }
  return communicator._withUnsafeGuaranteedRef { communicator in
    do throws(TuttiError) {
      try body(communicator)
      return TUTTI_OK
    } catch { return fail(error) }
  }
}

/// Calls `body` and returns its code, where there is no communicator yet.
@inline(__always)
func attempt(_ body: () throws(TuttiError) -> Void) -> tutti_code {
  do throws(TuttiError) {
    try body()
    return TUTTI_OK
  } catch { return fail(error) }
}

@inline(never)
private func refuseHandle(_ pointer: OpaquePointer?) -> tutti_code {
  if pointer == nil { return fail(refusal("the communicator is NULL", "Join first, and look at the code that it returns")) }
  return fail(freedHandle())
}

/// The error of a handle whose communicator was freed.
func freedHandle() -> TuttiError {
  TuttiError(
    FailureReport(
      .closed, "the communicator was freed by tutti_comm_free", advice: "Free it after the last call, from one thread"))
}

/// Makes the error for an argument that cannot be used.
func refusal(_ message: String, _ advice: String) -> TuttiError {
  TuttiError(FailureReport(.invalidArgument, message, advice: advice))
}

/// The place of a result; refuses NULL.
@inline(__always)
func place<Value>(
  _ pointer: UnsafeMutablePointer<Value>?, _ name: StaticString
) throws(TuttiError) -> UnsafeMutablePointer<Value> {
  guard let pointer else { throw refusal("'\(name)' is NULL", "Give the address of a variable for the result") }
  return pointer
}
