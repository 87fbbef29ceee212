import Glibc
import TuttiSystem

// Ending many links at once. Peers that do not respond take their time together, because all links are asked in turn until
// the time for all is over: a rank with hundreds of such peers closes as quickly as one with a single such peer.

extension Link {
  /// How long all links together may take to make sure that what they sent arrives, counted from the last moment at which
  /// any of it did.
  private static let windDownNanosecondsMax: UInt64 = 1_000_000_000
  /// How long they may take altogether, however slow the network.
  private static let windDownNanosecondsTotal: UInt64 = 60_000_000_000
  /// How long they may all together take to give up what they hold. Far above what one segment takes to be read.
  private static let closingNanosecondsMax: UInt64 = 500_000_000
  /// How long all peers together may take to stop writing into this rank's memory: copying a segment takes microseconds,
  /// unless they are stopped.
  private static let revokeNanosecondsMax: UInt64 = 100_000_000

  /// Closes links: when this returns their peers read no sources sent there any more, or a bounded time has passed.
  /// Idempotent; no data-path call follows.
  package static func close(_ links: [Link]) {
    let open = links.filter { !$0.isEnded }
    askUntilDelivered(open) { $0.windDown() }
    for link in open {
      link.isEnded = true
      link.startClosing()
    }
    ask(open, for: closingNanosecondsMax) { $0.hasClosed() }
  }

  /// Closes this link: see ``close(_:)``. Also from a `deinit`, so it hands out no reference.
  package final func close() {
    if isEnded { return }
    Self.askUntilDelivered {
      undelivered
    } isDone: {
      windDown()
    }
    isEnded = true
    startClosing()
    Self.ask(for: Self.closingNanosecondsMax) { hasClosed() }
  }

  /// Waits, for a bounded time, until everything sent over the links will arrive even if this process ends.
  package static func drain(_ links: [Link]) {
    askUntilDelivered(links) { $0.status.pointee.failed || $0.drain() }
  }

  /// Takes callers' memory back from the peers: when this returns they write no more, or have not answered within a bounded
  /// time. Idempotent.
  ///
  /// - Parameter lost: A rank that has died, and is not waited for; -1 for none.
  package static func revoke(_ links: [Link], lost: Int = -1) {
    let open = links.compactMap { $0 as? InPlaceLink }.filter { !$0.isRevoked && !$0.isEnded }
    for link in open {
      link.isRevoked = true
      link.startRevoking()
    }
    ask(open, for: revokeNanosecondsMax) { $0.hasRevoked(peerIsLost: $0.peer == lost) }
  }

  /// Asks every link in turn until it says yes, or the time for all is over.
  private static func ask<Some: Link>(_ links: [Some], for nanoseconds: UInt64, _ isDone: (Some) -> Bool) {
    var waiting = links
    ask(for: nanoseconds) {
      waiting.removeAll(where: isDone)
      return waiting.isEmpty
    }
  }

  private static func askUntilDelivered(_ links: [Link], _ isDone: (Link) -> Bool) {
    var waiting = links
    askUntilDelivered {
      waiting.reduce(0) { $0 + $1.undelivered }
    } isDone: {
      waiting.removeAll(where: isDone)
      return waiting.isEmpty
    }
  }

  private static func askUntilDelivered(_ undelivered: () -> Int, isDone: () -> Bool) {
    if isDone() { return }
    let start = monotonicNanoseconds()
    var least = undelivered()
    var end = start + windDownNanosecondsMax
    ask(until: { end }) {
      let left = undelivered()
      if left < least {
        least = left
        end = min(monotonicNanoseconds() + windDownNanosecondsMax, start + windDownNanosecondsTotal)
      }
      return isDone()
    }
  }

  private static func ask(for nanoseconds: UInt64, _ isDone: () -> Bool) {
    if isDone() { return }
    let end = monotonicNanoseconds() + nanoseconds
    ask(until: { end }, isDone)
  }

  /// Most are done within microseconds. Whoever is not leaves the processor to those that it waits for.
  private static func ask(until end: () -> UInt64, _ isDone: () -> Bool) {
    let patience = monotonicNanoseconds() + Clock.millisecond
    while !isDone() {
      let now = monotonicNanoseconds()
      if now >= end() { return }
      if now < patience { sched_yield() } else { Clock.pause(100_000) }
    }
  }
}
