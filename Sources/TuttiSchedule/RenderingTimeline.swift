// When every step of a job would happen on an abstract machine: what the renderers draw.
//
// Invariant: a step starts when all it waits for has finished, and nothing else delays it. The waits are those of the engine
// with unlimited credit, out of place: data, the order on each link and in each rank's queue of local steps, and held
// sources.
//
// It must not assume a proof: an author draws a broken schedule to see what is wrong with it. What can never happen stays
// undrawn.

/// The steps of all ranks in time.
///
/// The machine: a message takes ``latency``, and ``dataTime`` for all of the data, or its share of that by chunks. A link
/// carries one message at a time; different links do not disturb each other. Messages travel whole, and local work takes no
/// time.
struct ScheduleTimeline {
  /// Between the end of a send and the arrival of its message: the unit of time.
  static let latency = 1.0
  /// How long a link is busy with a message of all of the data.
  static let dataTime = 4.0

  /// One step.
  struct Event {
    var start = 0.0
    /// For a send, when the message has left.
    var finish = 0.0
    /// The messages on the longest chain of waits that ends with this step, which is one of them where it sends or receives.
    var round = 0
    /// Whether it ever happens: not where ranks wait for each other, or for a message that nobody sends.
    var happens = false
  }

  /// One message to one rank.
  struct Passage {
    var sender: Int
    var sendStep: Int
    var receiver: Int
    /// The step that receives it; nil when there is none.
    var receiveStep: Int?
    var channel: Int
    var message: Message
  }

  let schedules: [Schedule]
  /// By rank and step.
  private(set) var events: [[Event]] = []
  /// By sender and step.
  private(set) var passages: [Passage] = []
  /// The end of the last step.
  private(set) var end = 0.0
  /// The longest chain of messages.
  private(set) var rounds = 0

  init(_ schedules: [Schedule]) {
    self.schedules = schedules
    let graph = WaitGraph(schedules)
    passages = graph.passages
    events = schedules.map { Array(repeating: Event(), count: $0.steps.count) }
    for (rank, step) in graph.order() {
      var event = Event(happens: true)
      for wait in graph.waits(rank, step) {
        let other = events[wait.rank][wait.step]
        event.start = max(event.start, other.finish + (wait.isMessage ? ScheduleTimeline.latency : 0))
        event.round = max(event.round, other.round)
      }
      event.finish = event.start
      if let message = schedules[rank].steps[step].sent {
        event.finish += ScheduleTimeline.dataTime * schedules[rank].share(message)
        event.round += 1
      }
      events[rank][step] = event
      end = max(end, event.finish)
      rounds = max(rounds, event.round)
    }
  }

  func sent(_ passage: Passage) -> Event { events[passage.sender][passage.sendStep] }

  /// When a message is there.
  func arrival(_ passage: Passage) -> Double { sent(passage).finish + ScheduleTimeline.latency }
}

extension Step {
  /// The message that the step sends, if it does.
  fileprivate var sent: Message? {
    switch self {
    case .send(let message, _, _, _), .forward(let message, _, _, _, _): message
    case .receive, .receiveSlot, .reduce: nil
    }
  }
}

extension Schedule {
  /// The part of the data that a message has, where all chunks are equal.
  func share(_ message: Message) -> Double {
    collective == .barrier ? 0 : Double(ranges(message).reduce(0) { $0 + $1.chunks.count }) / Double(max(chunkCount, 1))
  }
}

/// Which steps wait for which. Steps of all ranks are numbered one after the other.
private struct WaitGraph {
  struct WaitFor {
    var rank: Int
    var step: Int
    var isMessage: Bool
  }

  private struct Lane: Hashable {
    var from: Int
    var to: Int
    var parity: Int
  }

  /// What is to be received on a lane, and the step that consumes it.
  private struct Receipt {
    var step: Int
    var consumer: Int?
  }

  private(set) var passages: [ScheduleTimeline.Passage] = []
  private let schedules: [Schedule]
  private var base: [Int] = [0]
  /// By step: what it waits for, and whether that is a message's arrival.
  private var preceding: [[(step: Int, isMessage: Bool)]]
  private var outgoing: [Lane: [Int]] = [:]
  private var incoming: [Lane: [Receipt]] = [:]
  /// A step that overwrites what a held send reads.
  private var releases: [(writer: Int, send: Int)] = []

  init(_ schedules: [Schedule]) {
    self.schedules = schedules
    for schedule in schedules { base.append(base.last! + schedule.steps.count) }
    preceding = Array(repeating: [], count: base.last!)
    for rank in schedules.indices { addRank(rank) }
    matchMessages()
  }

  func waits(_ rank: Int, _ step: Int) -> [WaitFor] {
    preceding[base[rank] + step].map {
      let place = place($0.step)
      return WaitFor(rank: place.rank, step: place.step, isMessage: $0.isMessage)
    }
  }

  private func place(_ number: Int) -> (rank: Int, step: Int) {
    var (low, high) = (0, base.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if base[middle] <= number { low = middle } else { high = middle }
    }
    return (low, number - base[low])
  }

  /// All steps that can happen, each after those it waits for.
  func order() -> [(rank: Int, step: Int)] {
    var following: [[Int]] = Array(repeating: [], count: preceding.count)
    var open = preceding.map(\.count)
    for (step, list) in preceding.enumerated() {
      for wait in list { following[wait.step].append(step) }
    }
    var ready = open.indices.filter { open[$0] == 0 }
    var next = 0
    while next < ready.count {
      for step in following[ready[next]] {
        open[step] -= 1
        if open[step] == 0 { ready.append(step) }
      }
      next += 1
    }
    return ready.map(place)
  }

  // MARK: Building

  private mutating func addRank(_ rank: Int) {
    struct Cell: Hashable {
      var buffer: Buffer
      var chunk: Int
    }
    struct State {
      var writer: Int?
      var readers: [(step: Int, isHeld: Bool)] = []
    }
    let schedule = schedules[rank]
    var cells: [Cell: State] = [:]
    var lastSend: [Lane: Int] = [:]
    var lastConsumer: [Lane: Int] = [:]
    var lastLocal: [Int: Int] = [:]
    var slots: [Slot: (lane: Lane, receipt: Int)] = [:]

    for (index, step) in schedule.steps.enumerated() {
      let number = base[rank] + index
      func wait(_ step: Int?) {
        if let step, step != number { preceding[number].append((step, false)) }
      }
      func read(_ message: Message, isHeld: Bool = false) {
        for range in schedule.ranges(message) {
          for chunk in range.chunks {
            let cell = Cell(buffer: range.buffer, chunk: chunk)
            wait(cells[cell, default: State()].writer)
            cells[cell, default: State()].readers.append((number, isHeld))
          }
        }
      }
      func write(_ message: Message) {
        for range in schedule.ranges(message) {
          for chunk in range.chunks {
            let cell = Cell(buffer: range.buffer, chunk: chunk)
            let state = cells[cell, default: State()]
            cells[cell] = State(writer: number)
            // Nothing overwrites what has no bytes.
            if schedule.collective == .barrier { continue }
            wait(state.writer)
            for reader in state.readers {
              if reader.isHeld { releases.append((number, reader.step)) } else { wait(reader.step) }
            }
          }
        }
      }
      func send(to peers: [Int], _ channel: Int, _ message: Message) {
        for peer in peers {
          let lane = Lane(from: rank, to: peer, parity: channel & 1)
          wait(lastSend[lane])
          lastSend[lane] = number
          outgoing[lane, default: []].append(passages.count)
          passages.append(
            ScheduleTimeline.Passage(
              sender: rank, sendStep: index, receiver: peer, receiveStep: nil, channel: channel, message: message))
        }
      }
      func consume(_ lane: Lane) {
        wait(lastConsumer[lane])
        lastConsumer[lane] = number
      }
      func combine(_ sources: [Source], _ channel: Int) {
        var isLocal = true
        for source in sources {
          switch source {
          case .chunks(let message): read(message)
          case .slot(let slot):
            isLocal = false
            guard let (lane, receipt) = slots[slot] else { continue }
            wait(incoming[lane]![receipt].step)
            incoming[lane]![receipt].consumer = number
            consume(lane)
          }
        }
        guard isLocal else { return }
        wait(lastLocal[channel])
        lastLocal[channel] = number
      }

      switch step {
      case .send(let message, let peers, let channel, let lifetime):
        read(message, isHeld: lifetime == .held)
        send(to: peers, channel, message)
      case .receive(let message, let peer, let channel):
        let lane = Lane(from: peer, to: rank, parity: channel & 1)
        incoming[lane, default: []].append(Receipt(step: number, consumer: number))
        consume(lane)
        write(message)
      case .receiveSlot(_, let slot, let peer, let channel):
        let lane = Lane(from: peer, to: rank, parity: channel & 1)
        slots[slot] = (lane, incoming[lane, default: []].count)
        incoming[lane, default: []].append(Receipt(step: number))
      case .reduce(let message, let sources, _, let channel):
        combine(sources, channel)
        write(message)
      case .forward(let message, let sources, let peers, _, let channel):
        combine(sources, channel)
        send(to: peers, channel, message)
      }
    }
  }

  /// Joins the messages of each lane in their order. What is received but never sent waits for itself, and so for ever.
  private mutating func matchMessages() {
    var consumers: [Int: [Int]] = [:]
    for (lane, receipts) in incoming {
      let sends = outgoing[lane, default: []]
      for (place, receipt) in receipts.enumerated() {
        guard place < sends.count else {
          preceding[receipt.step].append((receipt.step, true))
          continue
        }
        let sender = base[lane.from] + passages[sends[place]].sendStep
        preceding[receipt.step].append((sender, true))
        passages[sends[place]].receiveStep = receipt.step - base[lane.to]
        if let consumer = receipt.consumer { consumers[sender, default: []].append(consumer) }
      }
    }
    for (writer, send) in releases {
      for consumer in consumers[send, default: []] { preceding[writer].append((consumer, false)) }
    }
  }
}
