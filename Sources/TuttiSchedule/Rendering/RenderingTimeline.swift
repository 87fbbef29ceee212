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
    /// The number of messages on the longest chain of waits that ends with this step, its own included where it sends or
    /// receives.
    var round = 0
    /// Whether it ever happens. It does not where ranks wait for each other, or for a message that nobody sends.
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

  /// When a message arrives.
  func arrival(_ passage: Passage) -> Double { sent(passage).finish + ScheduleTimeline.latency }
}

extension Step {
  /// The message that the step sends, if it does.
  fileprivate var sent: Message? {
    switch self {
    case .send(let message, _, _, _), .forward(let message, _, _, _): message
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
