import TuttiSystem
import TuttiTransport

/// A peer's segment that belongs to another call than this rank's.
struct CallMismatch {
  var peer: Int
  var transport: String
  /// This rank's operation, and the number of the peer's.
  var number: UInt64
  var theirNumber: UInt64
  /// The call is the same, and each message of it says its own number of elements.
  var isOfMessages: Bool
  /// The numbers of elements that this rank and the peer say.
  var ourCount: UInt64
  var theirCount: UInt64
}

/// What is said about ranks in different calls: the details of the other call are not on the wire, but the other rank keeps them.
extension Engine {
  @inline(never)
  func noteMismatch(
    _ link: Unmanaged<Link>, _ arrival: UnsafePointer<Arrival>, _ operation: UnsafeMutablePointer<Operation>,
    _ count: UInt64, _ bytes: Int
  ) {
    if core.pointee.pendingFailure != nil || core.pointee.pendingMismatch != nil { return }
    let link = link.takeUnretainedValue()
    let number = operation.pointee.number
    if arrival.pointee.call == operation.pointee.call && arrival.pointee.count == count {
      let ours = describe(number)
      core.pointee.pendingFailure = FailureReport(
        .mismatch, rank: rank, peer: link.peer,
        "rank \(link.peer) sent \(arrival.pointee.bytes) bytes of \(ours) where rank \(rank) expects \(bytes)",
        advice: "All ranks of a job must run the same version of Tutti", operation: ours, operationNumber: number,
        transport: link.transport.name)
      return
    }
    // The number's upper half is not on the wire; it is the one that comes nearest to this rank's.
    let difference = Int32(bitPattern: arrival.pointee.call.operationNumber &- operation.pointee.call.operationNumber)
    core.pointee.pendingMismatch = CallMismatch(
      peer: link.peer, transport: link.transport.name, number: number,
      theirNumber: UInt64(truncatingIfNeeded: Int64(truncatingIfNeeded: number) &+ Int64(difference)),
      isOfMessages: arrival.pointee.call == operation.pointee.call && operation.pointee.tables.pointee.countsByMessage,
      ourCount: count, theirCount: arrival.pointee.count)
  }

  /// Asks the peer what it called. Without the lock.
  func explain(_ mismatch: CallMismatch) -> FailureReport {
    let ours = describe(mismatch.number)
    let peer = mismatch.peer
    if mismatch.isOfMessages {
      return FailureReport(
        .mismatch, rank: rank, peer: peer,
        "ranks disagree about operation \(mismatch.number): rank \(peer) sends \(mismatch.theirCount) elements where rank \(rank) "
          + "expects \(mismatch.ourCount)",
        advice: "What a rank sends to another must be what that one expects from it", operation: ours,
        operationNumber: mismatch.number, transport: mismatch.transport)
    }
    let known = PlanKey.isDigest(mismatch.theirCount) ? "unequal blocks" : "\(mismatch.theirCount) elements"
    let theirs =
      delegate.askCall(of: peer, operationNumber: mismatch.theirNumber)
      ?? "another one, of \(known), and does not answer the question which"
    return FailureReport(
      .mismatch, rank: rank, peer: peer,
      "ranks disagree about operation \(mismatch.number): rank \(rank) called \(ours), rank \(peer) called \(theirs)",
      advice: "Every rank must make the same calls in the same order, with equal count, type and operation",
      operation: ours, operationNumber: mismatch.number, transport: mismatch.transport)
  }

  /// What a person calls one of this rank's operations that are in flight.
  func describe(_ number: UInt64) -> String { call(numbered: number).map(delegate.describe) ?? "operation \(number)" }
}
