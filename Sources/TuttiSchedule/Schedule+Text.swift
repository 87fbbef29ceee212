// Steps as people read them: in proofs, errors and listings.

extension ChunkRange: CustomStringConvertible {
  /// `input[3]` for one chunk, `scratch 0[0..<4]` for several.
  public var description: String {
    let place =
      switch buffer {
      case .input: "input"
      case .output: "output"
      case .scratch(let index): "scratch \(index)"
      }
    return place + ChunkRange.text(chunks)
  }

  /// `[3]` for one chunk, `[0..<4]` for several.
  static func text(_ chunks: Range<Int>) -> String {
    chunks.count == 1 ? "[\(chunks.lowerBound)]" : "[\(chunks.lowerBound)..<\(chunks.upperBound)]"
  }
}

extension Schedule {
  /// One step in words: `send input[0] to 1 2 (copied, channel 0)`.
  public func text(ofStep index: Int) -> String {
    switch steps[index] {
    case .send(let message, let peers, let channel, let lifetime):
      let names = peers.map(String.init).joined(separator: " ")
      return "send \(text(message)) to \(names) (\(lifetime == .held ? "held" : "copied"), channel \(channel))"
    case .receive(let message, let peer, let channel):
      return "receive \(text(message)) from \(peer) (channel \(channel))"
    case .receiveSlot(let message, let slot, let peer, let channel):
      return "receive slot \(slot.index) of \(sizes(message)) from \(peer) (channel \(channel))"
    case .reduce(let message, let fold, let channel):
      let verb = fold.sources.count == 1 ? "copy" : "reduce"
      return "\(verb) \(text(message)) = \(text(fold.sources)) (\(manner(fold))channel \(channel))"
    case .forward(let message, let fold, let peers, let channel):
      let names = peers.map(String.init).joined(separator: " ")
      return "forward \(sizes(message)) = \(text(fold.sources)) to \(names) (\(manner(fold))channel \(channel))"
    }
  }

  private func manner(_ fold: Fold) -> String {
    (fold.order == .balanced && fold.sources.count > 2 ? "balanced, " : "") + (fold.completes ? "completes, " : "")
  }

  private func text(_ sources: [Source]) -> String {
    sources.map { source in
      switch source {
      case .chunks(let message): text(message)
      case .slot(let slot): "slot \(slot.index)"
      }
    }.joined(separator: " + ")
  }

  /// The ranges of a message that lie in the table; a broken schedule may name others.
  func ranges(_ message: Message) -> ArraySlice<ChunkRange> { ranges[message.ranges.clamped(to: ranges.indices)] }

  private func text(_ message: Message) -> String {
    let list = ranges(message)
    return list.isEmpty ? "nothing" : list.map(\.description).joined(separator: ", ")
  }

  /// The chunks of a message, whatever buffer they lie in: what both ends must agree on.
  func sizes(_ message: Message) -> String {
    let list = ranges(message)
    return list.isEmpty ? "no chunks" : "chunks " + list.map { ChunkRange.text($0.chunks) }.joined(separator: ", ")
  }
}
