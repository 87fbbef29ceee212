/// The kinds of operation that a ``Work`` can be, as its number says. The numbers of a kind are a space of their own: the
/// highest three bits tell which, and who runs it counts below them.
///
/// Two spaces are the engine's, which counts collectives from 1 and sets bit 63 in the tickets of sends and receives. The
/// others are between those.
enum WorkNumber {
  /// A collective, which the engine runs.
  case collective
  /// A receive of a message with a tag: the ``Mailbox`` has it.
  case receive
  /// Several operations as one: ``Composites`` has it.
  case composite
  /// A send or receive, which the engine runs.
  case transfer

  private static let shift: UInt64 = 61
  /// The number before the first of the receives with tags.
  static let receives: UInt64 = 2 << shift
  /// The number before the first of the composites.
  static let composites: UInt64 = 3 << shift

  @inline(__always)
  init(_ number: UInt64) {
    switch number >> Self.shift {
    case Self.receives >> Self.shift: self = .receive
    case Self.composites >> Self.shift: self = .composite
    case 4...: self = .transfer
    default: self = .collective
    }
  }
}
