import TuttiSystem
import TuttiTransport

@testable import TuttiBootstrap

/// A whole control plane in memory: the machines of all ranks of one host, whose messages, ends and news of processes arrive
/// in an order that a seed gives, at times of a clock that the test moves. What a rank sends to another one arrives in
/// order.
final class SimulatedPlane {
  let rankCount: Int
  let tree: ControlTree
  let time = VirtualClock()
  let board: MemoryBoard?
  var generator: SeededGenerator
  private(set) var machines: [ControlMachines]
  /// What each rank's runtime was told.
  private(set) var heard: [[FailureReport]]
  /// Ranks whose processes have ended.
  private(set) var ended: Set<Int> = []
  /// Ranks whose processes are stopped: they take nothing in.
  var stopped: Set<Int> = []
  /// By rank and neighbour.
  private var channels: [[Int: MemoryChannel]]
  /// Ranks that the kernel has yet to tell of the end of another one's process.
  private var untold: [(watcher: Int, of: Int)] = []

  /// - Parameter hasBoard: Whether the ranks share memory, so that they watch each other's processes.
  init(rankCount: Int, hasBoard: Bool, seed: UInt64) {
    self.rankCount = rankCount
    let tree = ControlTree(rankCount: rankCount)
    self.tree = tree
    generator = SeededGenerator(seed: seed)
    board = hasBoard ? MemoryBoard() : nil
    machines = (0..<rankCount).map { ControlMachines(rank: $0, tree: tree) { "rank \($0)" } }
    heard = Array(repeating: [], count: rankCount)
    channels = (0..<rankCount).map { rank in
      Dictionary(uniqueKeysWithValues: tree.neighbours(of: rank).map { ($0, MemoryChannel()) })
    }
    let processes = Dictionary(uniqueKeysWithValues: (0..<rankCount).map { (process($0), [$0]) })
    for rank in 0..<rankCount {
      machines[rank].board = board
      for (peer, channel) in channels[rank] { _ = machines[rank].attach(channel, to: peer) }
      _ = machines[rank].listen()
      act(rank) { machines, after in
        machines.establish(&after)
        machines.watch(
          processes.filter { $0.value != [rank] }, open: { _ in .watched(MemoryChannel()) }, now: time.now, &after)
      }
    }
  }

  var alive: [Int] { (0..<rankCount).filter { !ended.contains($0) } }

  /// Has a rank's machines do something, and does what they leave to do.
  @discardableResult
  func act<Value>(_ rank: Int, _ body: (inout ControlMachines, inout ControlMachines.Aftermath) -> Value) -> Value {
    var after = ControlMachines.Aftermath()
    let value = body(&machines[rank], &after)
    for inquiry in after.inquiries {
      act(rank) { machines, after in machines.answer(inquiry, status(of: rank, inquiry.operationNumber), &after) }
    }
    if let failure = after.failure { heard[rank].append(failure) }
    return value
  }

  /// What a rank answers when it is asked.
  func status(of rank: Int, _ operationNumber: UInt64) -> RankStatus {
    let call = CallDescription("call \(operationNumber) of \(rank)", identity: operationNumber)
    return RankStatus(entered: UInt64(rank), asked: operationNumber == 0 ? nil : call)
  }

  func report(_ rank: Int, _ text: String) {
    act(rank) { machines, after in machines.report(FailureReport(.aborted, rank: rank, text), &after) }
  }

  /// The process of a rank is killed: what it has sent still arrives.
  func kill(_ rank: Int) {
    guard ended.insert(rank).inserted else { return }
    for channel in channels[rank].values { channel.close() }
    if board != nil { untold += (0..<rankCount).filter { $0 != rank }.map { ($0, rank) } }
  }

  func leave(_ rank: Int) {
    act(rank) { machines, _ in
      _ = machines.leave()
      machines.close()
    }
  }

  // MARK: What arrives

  private enum Event {
    case frames(from: Int, to: Int)
    case end(from: Int, to: Int)
    case process(index: Int)
  }

  private var events: [Event] {
    var events: [Event] = []
    for rank in 0..<rankCount {
      for (peer, channel) in channels[rank].sorted(by: { $0.key < $1.key }) {
        let other = channels[peer][rank]!
        guard !ended.contains(peer), !stopped.contains(peer), !other.isClosed, other.state == .open else { continue }
        if !channel.onItsWay.isEmpty {
          events.append(.frames(from: rank, to: peer))
        } else if channel.isClosed {
          events.append(.end(from: rank, to: peer))
        }
      }
    }
    for (index, news) in untold.enumerated() where !ended.contains(news.watcher) && !stopped.contains(news.watcher) {
      events.append(.process(index: index))
    }
    return events
  }

  /// Lets one thing arrive. False when nothing is on its way.
  func step() -> Bool {
    guard let event = events.randomElement(using: &generator) else { return false }
    switch event {
    case .frames(let rank, let peer):
      let channel = channels[rank][peer]!
      let count = Int.random(in: 1...channel.onItsWay.count, using: &generator)
      channels[peer][rank]!.arrived += channel.onItsWay.prefix(count)
      channel.onItsWay.removeFirst(count)
      act(peer) { machines, after in machines.edgeIsReady(rank, &after) }
    case .end(let rank, let peer):
      channels[peer][rank]!.state = .ended(0)
      act(peer) { machines, after in machines.edgeIsReady(rank, &after) }
    case .process(let index):
      let (watcher, rank) = untold.remove(at: index)
      act(watcher) { machines, after in machines.processHasEnded(process(rank), now: time.now, &after) }
    }
    return true
  }

  /// Lets a few things arrive.
  func letSomeArrive(most: Int = 20) {
    for _ in 0..<Int.random(in: 0...most, using: &generator) where !step() { return }
  }

  /// Lets everything arrive.
  func settle() { while step() {} }

  /// Asks, and looks every millisecond, while things arrive, until there is a reply.
  func ask(_ asker: Int, _ target: Int, seconds: UInt64 = 10) -> Diagnosis.Reply {
    let id = act(asker) { machines, after in
      machines.ask(target, about: 5, now: time.now, deadline: time.now + seconds * Clock.second, &after)
    }
    while true {
      letSomeArrive()
      if let reply = machines[asker].look(id, now: time.now) { return reply }
      time.advance(Clock.millisecond)
    }
  }
}
