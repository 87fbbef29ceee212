// Which steps of a job wait for which: what the drawings are made from.

/// Which steps wait for which. Steps of all ranks are numbered one after the other.
struct WaitGraph {
  struct WaitFor {
    var rank: Int
    var step: Int
    var isMessage: Bool
  }

  struct Lane: Hashable {
    var from: Int
    var to: Int
    /// The lane's number among those in that direction.
    var number: Int

    init(from: Int, to: Int, channel: Int) {
      self.from = from
      self.to = to
      number = Channel.lane(channel)
    }
  }

  /// What has to be received on a lane, and the step that consumes it.
  struct Receipt {
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
    var program = RankWaits(schedules[rank], rank: rank, first: base[rank], passages: passages.count)
    for index in schedules[rank].steps.indices { program.add(index) }
    for (step, list) in program.preceding.enumerated() {
      preceding[base[rank] + step] = list.map { ($0, false) }
    }
    passages += program.passages
    outgoing.merge(program.outgoing) { mine, _ in mine }
    incoming.merge(program.incoming) { mine, _ in mine }
    releases += program.releases
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

/// For each step of one rank: which of the rank's own steps it waits for, and what it sends and receives. Steps are added in
/// program order.
private struct RankWaits {
  private struct Cell: Hashable {
    var buffer: Buffer
    var chunk: Int
  }

  private struct State {
    var writer = -1
    var readers: [(step: Int, isHeld: Bool)] = []
  }

  private let schedule: Schedule
  private let rank: Int
  /// The number of the rank's first step, and of its first passage.
  private let first: Int
  private let firstPassage: Int
  /// By step of the rank: the steps it waits for.
  private(set) var preceding: [[Int]]
  private(set) var passages: [ScheduleTimeline.Passage] = []
  private(set) var outgoing: [WaitGraph.Lane: [Int]] = [:]
  private(set) var incoming: [WaitGraph.Lane: [WaitGraph.Receipt]] = [:]
  private(set) var releases: [(writer: Int, send: Int)] = []
  private var cells: [Cell: State] = [:]
  private var lastSend: [WaitGraph.Lane: Int] = [:]
  private var lastConsumer: [WaitGraph.Lane: Int] = [:]
  private var lastLocal: [Int: Int] = [:]
  private var slots: [Slot: (lane: WaitGraph.Lane, receipt: Int)] = [:]

  init(_ schedule: Schedule, rank: Int, first: Int, passages: Int) {
    self.schedule = schedule
    self.rank = rank
    self.first = first
    firstPassage = passages
    preceding = Array(repeating: [], count: schedule.steps.count)
  }

  mutating func add(_ index: Int) {
    let number = first + index
    switch schedule.steps[index] {
    case .send(let message, let peers, let channel, let lifetime):
      read(message, number, isHeld: lifetime == .held)
      send(message, number, to: peers, channel)
    case .receive(let message, let peer, let channel):
      let lane = WaitGraph.Lane(from: peer, to: rank, channel: channel)
      incoming[lane, default: []].append(WaitGraph.Receipt(step: number, consumer: number))
      consume(lane, number)
      write(message, number)
    case .receiveSlot(_, let slot, let peer, let channel):
      let lane = WaitGraph.Lane(from: peer, to: rank, channel: channel)
      slots[slot] = (lane, incoming[lane, default: []].count)
      incoming[lane, default: []].append(WaitGraph.Receipt(step: number))
    case .reduce(let message, let fold, let channel):
      combine(fold.sources, number, channel)
      write(message, number)
    case .forward(let message, let fold, let peers, let channel):
      combine(fold.sources, number, channel)
      send(message, number, to: peers, channel)
    }
  }

  private mutating func wait(_ number: Int, for step: Int) {
    if step >= 0, step != number { preceding[number - first].append(step) }
  }

  private mutating func read(_ message: Message, _ number: Int, isHeld: Bool = false) {
    for range in schedule.ranges(message) {
      for chunk in range.chunks {
        let cell = Cell(buffer: range.buffer, chunk: chunk)
        var state = cells.removeValue(forKey: cell) ?? State()
        wait(number, for: state.writer)
        state.readers.append((number, isHeld))
        cells[cell] = state
      }
    }
  }

  private mutating func write(_ message: Message, _ number: Int) {
    for range in schedule.ranges(message) {
      for chunk in range.chunks {
        let cell = Cell(buffer: range.buffer, chunk: chunk)
        let state = cells.updateValue(State(writer: number), forKey: cell) ?? State()
        // Nothing overwrites what has no bytes.
        if schedule.collective == .barrier { continue }
        wait(number, for: state.writer)
        for reader in state.readers {
          if reader.isHeld { releases.append((number, reader.step)) } else { wait(number, for: reader.step) }
        }
      }
    }
  }

  private mutating func send(_ message: Message, _ number: Int, to peers: [Int], _ channel: Int) {
    for peer in peers {
      let lane = WaitGraph.Lane(from: rank, to: peer, channel: channel)
      wait(number, for: lastSend.updateValue(number, forKey: lane) ?? -1)
      outgoing[lane, default: []].append(firstPassage + passages.count)
      passages.append(
        ScheduleTimeline.Passage(
          sender: rank, sendStep: number - first, receiver: peer, receiveStep: nil, channel: channel,
          message: message))
    }
  }

  private mutating func consume(_ lane: WaitGraph.Lane, _ number: Int) {
    wait(number, for: lastConsumer.updateValue(number, forKey: lane) ?? -1)
  }

  private mutating func combine(_ sources: [Source], _ number: Int, _ channel: Int) {
    var isLocal = true
    for source in sources {
      switch source {
      case .chunks(let message): read(message, number)
      case .slot(let slot):
        isLocal = false
        guard let (lane, receipt) = slots[slot] else { continue }
        wait(number, for: incoming[lane]![receipt].step)
        incoming[lane]![receipt].consumer = number
        consume(lane, number)
      }
    }
    if isLocal { wait(number, for: lastLocal.updateValue(number, forKey: channel) ?? -1) }
  }
}
