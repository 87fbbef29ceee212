import Synchronization
import TuttiSystem
import TuttiTransport

/// Asks some ranks what they called as the operation of a number in which this rank is stuck: on a thread of its own, so
/// that the operation may go on meanwhile.
final class CallPoll: Sendable {
  let number: UInt64
  private let isOver = Atomic<Bool>(false)
  private let answer = Lock<(peer: Int, words: String)?>(nil)

  init(number: UInt64) { self.number = number }

  /// Asks the ranks one after the other, until one has called something else than `ours`. One that has not come to this
  /// operation has called nothing yet, and may still call the same.
  func run(_ ranks: [Int], _ ours: CallDescription, _ delegate: any EngineDelegate) {
    for peer in ranks {
      guard let theirs = delegate.askCall(of: peer, operationNumber: number), theirs.identity != ours.identity else {
        continue
      }
      answer.withLock { $0 = (peer, theirs.words) }
      break
    }
    isOver.store(true, ordering: .releasing)
  }

  var hasEnded: Bool { isOver.load(ordering: .acquiring) }

  /// A rank that has called something else, and what; nil where none is known.
  var difference: (peer: Int, words: String)? { hasEnded ? answer.withLock { $0 } : nil }
}
