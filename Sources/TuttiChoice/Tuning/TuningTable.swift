import TuttiSchedule

/// What algorithms of one collective took on ranks of one shape, as measured.
package struct TuningTable: Hashable, Sendable {
  package struct Row: Hashable, Sendable {
    /// The size of the message, or of all blocks together.
    package var bytes: UInt64
    /// By the algorithm's name.
    package var microseconds: [String: Double]

    package init(bytes: UInt64, microseconds: [String: Double]) {
      self.bytes = bytes
      self.microseconds = microseconds
    }
  }

  package var shape: JobShape
  package var collective: Collective
  /// In ascending order of their sizes; at least one.
  package var rows: [Row]

  package init(shape: JobShape, collective: Collective, rows: [Row]) {
    self.shape = shape
    self.collective = collective
    self.rows = rows
  }

  /// Whether it has any time of an algorithm.
  func knows(_ algorithm: String) -> Bool { rows.contains { $0.microseconds[algorithm] != nil } }

  /// The time of an algorithm for a call of this size: measured, or between two measured ones.
  ///
  /// Between two sizes time grows evenly with the bytes. A call that is larger than the largest size takes longer in
  /// proportion, and one that is smaller than the smallest takes as long. Only the four operations are used, which give the
  /// same bits on every processor and with every C library, so that all ranks choose alike.
  ///
  /// - Returns: nil where it was not measured at both sizes around this one, because a time from further away cannot be
  ///   compared.
  package func microseconds(_ algorithm: String, bytes: UInt64) -> Double? {
    guard let next = rows.firstIndex(where: { $0.bytes >= bytes }) else {
      guard let last = rows.last, let time = last.microseconds[algorithm] else { return nil }
      return last.bytes > 0 ? time * (Double(bytes) / Double(last.bytes)) : time
    }
    guard let upper = rows[next].microseconds[algorithm] else { return nil }
    if next == 0 || rows[next].bytes == bytes { return upper }
    guard let lower = rows[next - 1].microseconds[algorithm] else { return nil }
    let share = Double(bytes - rows[next - 1].bytes) / Double(rows[next].bytes - rows[next - 1].bytes)
    return lower + (upper - lower) * share
  }
}
