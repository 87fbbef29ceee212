import TuttiSystem
import TuttiTransport

/// A peer's segment that belongs to another call than this rank's.
struct CallMismatch {
  /// What is not the same.
  enum Subject {
    case call
    /// The call is the same, and each message of it says its own number of elements.
    case elements
    /// The call and the elements are the same, and the size of a segment is not.
    case bytes
  }

  var subject: Subject
  var peer: Int
  var transport: String
  /// This rank's operation, and the number of the peer's.
  var number: UInt64
  var theirNumber: UInt64
  /// The numbers of elements, or of bytes, that this rank expects and that the peer says.
  var ours: UInt64
  var theirs: UInt64
}

extension EngineCore {
  /// Notes that a segment has arrived that is not the one `operation` waits for; the driver finds it there. The first stays.
  @inline(never)
  mutating func noteMismatch(
    _ link: Unmanaged<Link>, _ arrival: UnsafePointer<Arrival>, _ operation: UnsafeMutablePointer<Operation>,
    _ count: UInt64, _ bytes: Int
  ) {
    if pendingCause != nil || pendingMismatch != nil { return }
    let link = link.takeUnretainedValue()
    let number = operation.pointee.number
    let isSameCall = arrival.pointee.call == operation.pointee.call
    var mismatch = CallMismatch(
      subject: .call, peer: link.peer, transport: link.transport.name, number: number, theirNumber: number, ours: count,
      theirs: arrival.pointee.count)
    if isSameCall && arrival.pointee.count == count {
      mismatch.subject = .bytes
      mismatch.ours = UInt64(bytes)
      mismatch.theirs = UInt64(arrival.pointee.bytes)
    } else if isSameCall && operation.pointee.tables.pointee.countsByMessage {
      mismatch.subject = .elements
    } else {
      // The number's upper half is not on the wire; it is the one that comes nearest to this rank's.
      let difference = Int32(bitPattern: arrival.pointee.call.operationNumber &- operation.pointee.call.operationNumber)
      mismatch.theirNumber = UInt64(truncatingIfNeeded: Int64(truncatingIfNeeded: number) &+ Int64(difference))
    }
    pendingMismatch = mismatch
  }
}

/// What is said about ranks in different calls: the details of the other call are not on the wire, but the other rank
/// keeps them.
extension Engine {
  /// Makes the report of a mismatch, for which it asks the peer what it called. Without the lock.
  func cause(of mismatch: CallMismatch) -> FailureReport {
    lock.assertNotHeld()
    let ours = describe(mismatch.number)
    let peer = mismatch.peer
    let message: String
    let advice: String
    switch mismatch.subject {
    case .bytes:
      message = "rank \(peer) sent \(mismatch.theirs) bytes of \(ours) where rank \(rank) expects \(mismatch.ours)"
      advice = "All ranks of a job must run the same version of Tutti"
    case .elements:
      message =
        "ranks disagree about operation \(mismatch.number): rank \(peer) sends \(mismatch.theirs) elements where rank \(rank) "
        + "expects \(mismatch.ours)"
      advice = "What a rank sends to another must be what that one expects from it"
    case .call:
      let known = PlanKey.isDigest(mismatch.theirs) ? "unequal blocks" : "\(mismatch.theirs) elements"
      let theirs =
        delegate.askCall(of: peer, operationNumber: mismatch.theirNumber)?.words
        ?? "another one, of \(known), but does not say which"
      return disagreement(about: mismatch.number, peer, theirs, transport: mismatch.transport)
    }
    return FailureReport(
      .mismatch, rank: rank, peer: peer, message, advice: advice, operation: ours, operationNumber: mismatch.number,
      transport: mismatch.transport)
  }

  /// Makes the report of a peer that has called something else as its operation of a number.
  func disagreement(about number: UInt64, _ peer: Int, _ theirs: String, transport: String = "") -> FailureReport {
    let ours = describe(number)
    return FailureReport(
      .mismatch, rank: rank, peer: peer,
      "ranks disagree about operation \(number): rank \(rank) called \(ours), rank \(peer) called \(theirs)",
      advice: "Every rank must make the same calls in the same order, with equal count, type and operation",
      operation: ours, operationNumber: number, transport: transport)
  }

  /// What a person calls one of this rank's operations that are in flight.
  func describe(_ number: UInt64) -> String {
    call(numbered: number).map { delegate.describe($0).words } ?? "operation \(number)"
  }
}
