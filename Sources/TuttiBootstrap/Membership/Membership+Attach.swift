import Glibc
import TuttiSystem
import TuttiTransport

// What a membership needs before it stands, once its members are known: the departure board of its host, and its edges of
// the control tree. For joins and for splits.

extension Membership {
  /// The ranks that share memory with this one, itself among them, ascending; none where it can share none.
  var localRanks: [Int] {
    members.indices.filter { sharesMemory(with: $0) }
  }

  /// Makes the departure board where this rank is the lowest of those that share memory. A rank that shares no memory has no
  /// board, and learns of ends by control connections alone.
  func makeBoard() throws(FailureReport) {
    let local = localRanks
    guard local.count > 1, local[0] == rank else { return }
    put(try DepartureBoard(rankCount: rankCount))
  }

  /// Fetches the departure board from the rank above this one in a tree of the ranks that share memory, so that none
  /// passes it on more than twice. That one has it, or is about to get it: the lowest has made it.
  func fetchBoard(deadline: UInt64) throws(FailureReport) {
    let local = localRanks
    guard local.count > 1, let place = local.firstIndex(of: rank),
      let above = ControlTree(rankCount: local.count).parent(of: place)
    else { return }
    let source = local[above]
    let socket = try dial(source, .departureBoard, over: .ownUser, deadline: deadline)
    put(
      try DepartureBoard.receive(
        from: socket.raw, source: members[source], rankCount: rankCount, deadline: deadline, clock: clock))
  }

  /// Takes the departure board, and passes it on to those that have come for it.
  private func put(_ board: DepartureBoard) {
    state.withLock { state in
      state.board = board
      state.machines.board = board
      for seeker in state.boardSeekers { board.send(over: seeker.raw) }
      state.boardSeekers = []
    }
  }

  /// Dials this rank's parent in the control tree, if it has one, and makes the connection their edge.
  ///
  /// - Parameter isLastWord: Whether to dial even though this membership has failed, to say why.
  func attachToParent(deadline: UInt64, isLastWord: Bool = false) throws(FailureReport) {
    guard let parent = tree.parent(of: rank) else { return }
    let connection = PassedConnection(try dial(parent, .control, over: .any, deadline: deadline, isLastWord: isLastWord))
    state.withLock { attach(&$0, parent, connection.take()) }
  }

  /// Makes the connection over which this rank's parent has told it the table of ranks their edge.
  func attachToParent(over connection: FramedConnection) {
    state.withLock { attach(&$0, connection) }
    // What came behind the table has been taken from the socket already.
    edgeIsReady(connection.peer)
  }

  /// The neighbours in the control tree to which there is no edge, and was none.
  var missingNeighbours: [Int] { state.withLock { $0.machines.edges.missing } }

  /// Whether every tree edge of this rank stands, or stood.
  var isAttached: Bool { missingNeighbours.isEmpty }

  /// Makes the bell that rings when an edge of the control tree comes to stand.
  func makeNeighbourBell() throws(FailureReport) {
    let bell = try Doorbell()
    state.withLock { $0.neighbourBell = bell }
  }

  /// Waits until an edge of the control tree has come to stand, or something has come on a descriptor. May return early.
  ///
  /// - Parameter descriptor: nil for none.
  /// - Returns: Whether there is input on `descriptor`, or its end.
  func awaitNeighbour(orInputOn descriptor: Int32? = nil, until deadline: UInt64) -> Bool {
    let bell = state.withLock { $0.neighbourBell }
    let ready = Sockets.awaitInput(on: [descriptor, bell?.descriptor], until: deadline, clock: clock)
    if let bell, ready[1] { bell.disarm() }
    return ready[0]
  }
}
