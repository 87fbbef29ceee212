import TuttiSystem

// What a membership needs before it stands, once its members are known: the departure board of its host, and its edges of
// the control tree. For joins and for splits.

extension Membership {
  /// The ranks that share memory with this one, itself among them, ascending; none where it can share none.
  private var localRanks: [Int] {
    members.indices.filter { sharesMemory(with: $0) }
  }

  /// Makes the departure board where this rank is the lowest of those that share memory. It does so before it accepts the
  /// others, who come for it. A rank that shares no memory has no board, and learns of ends by control connections alone.
  func makeBoard() throws(FailureReport) {
    let local = localRanks
    guard local.count > 1, local[0] == rank else { return }
    let board = try DepartureBoard(rankCount: rankCount)
    state.withLock { $0.put(board) }
  }

  /// Fetches the departure board from the rank that made it.
  func fetchBoard(deadline: UInt64) throws(FailureReport) {
    let local = localRanks
    guard local.count > 1, local[0] != rank else { return }
    let socket = try dial(local[0], .departureBoard, over: .ownUser, deadline: deadline)
    let board = try DepartureBoard.receive(
      from: socket.raw, maker: members[local[0]], rankCount: rankCount, deadline: deadline, clock: clock)
    state.withLock { $0.put(board) }
  }

  /// Dials this rank's parent in the control tree, if it has one, and makes the connection their edge.
  ///
  /// - Parameter isLastWord: Whether to dial even though this membership has failed, to say why.
  func attachToParent(deadline: UInt64, isLastWord: Bool = false) throws(FailureReport) {
    guard let parent = tree.parent(of: rank) else { return }
    let connection = PassedConnection(try dial(parent, .control, over: .any, deadline: deadline, isLastWord: isLastWord))
    state.withLock { attach(&$0, parent, connection.take()) }
  }

  /// The neighbours in the control tree to which there is no edge, and was none.
  var missingNeighbours: [Int] { state.withLock { $0.machines.edges.missing } }

  /// Whether every tree edge of this rank stands, or stood.
  var isAttached: Bool { missingNeighbours.isEmpty }
}

extension Membership.State {
  fileprivate mutating func put(_ board: DepartureBoard) {
    self.board = board
    machines.board = board
  }
}
