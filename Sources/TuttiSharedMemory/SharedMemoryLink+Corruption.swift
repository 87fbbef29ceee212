import TuttiSystem

/// What a peer has published that no sound peer publishes. Trivial, so that the code that finds it stays short.
enum Corruption {
  /// A segment that is longer than any.
  case tooLong
  /// A window that is not inside the peer's region.
  case outsideRegion
  /// A place that is not inside the memory that the peer has registered and shown to this rank.
  case outsideRegisteredMemory
  /// A segment that is said to lie where this rank has granted its peer to write, and that was granted no such place.
  case notGranted
  /// An address in the peer's process, whose memory this rank cannot reach and has not said that it can.
  case unreachable
}

extension SharedMemoryLink {
  /// Fails the link because the peer published something impossible about a segment of `bytes`.
  @inline(never)
  func failCorrupt(_ corruption: Corruption, _ bytes: Int) {
    fail(
      FailureReport(
        .transport, rank: endpoint.rank, peer: peer,
        "rank \(peer) published a segment of \(bytes) bytes " + words(for: corruption),
        advice: "Something has overwritten memory of that process: look for the defect in its program",
        transport: transport.name))
  }

  private func words(for corruption: Corruption) -> String {
    switch corruption {
    case .tooLong: "where at most \(segmentBytesMax) fit"
    case .outsideRegion: "outside its shared memory region"
    case .outsideRegisteredMemory: "outside the memory that it has registered"
    case .notGranted: "as written to a place that rank \(endpoint.rank) has not granted it for that segment"
    case .unreachable: "as an address of its process, whose memory rank \(endpoint.rank) cannot reach"
    }
  }
}
