import CTuttiFork
import CTuttiLinux
import Glibc
import Testing
import TuttiSharedMemory
import TuttiSystem
import TuttiTransport

/// A peer that dies between any two of its calls on its links, or anywhere inside one: what it had published arrives whole,
/// what it had not never does, and no call of the others blocks or fails. (That it is dead is the control plane's news, not
/// the link's.)
///
/// The peer is a forked child that shares the links' memory with its parent, and nothing else.
@Suite(
  .serialized, .enabled(if: getenv("TUTTI_TEST_SANITIZER") == nil, "a sanitizer's forked child may deadlock"))
struct KilledPeerTests {
  /// Links of three ranks; the middle one dies.
  private struct Ranks {
    let links: [[SharedMemoryLink?]]
    init() throws { links = try sharedMemoryLinks([10, 11, 12]) }
    func link(_ rank: Int, to peer: Int) -> SharedMemoryLink { links[rank][peer]! }
    static let victim = 1
    static let survivors = [0, 2]
    func close() { for link in links.joined() { link?.close() } }
  }

  private static let sizes = [8, 97, 50_000, 96]
  private static let sendLane = 0
  private static let composeLane = 1
  private static let receiveLane = 2

  private static func key(_ lane: Int, _ index: Int) -> UInt64 { UInt64(lane * 100 + index) }

  /// The steps of the victim, one for each call. `publishes`: the lane and segment that the step makes visible, and to whom.
  private struct Step {
    let run: (Ranks) -> Void
    var publishes: (survivor: Int, lane: Int, index: Int)?
    var consumes = false
  }

  private static func script() -> [Step] {
    let call = CallSignature(rawValue: 7)
    var steps: [Step] = []
    for (index, bytes) in sizes.enumerated() {
      let sequence = UInt64(index + 1)
      let content = BytePool.shared.content(key(sendLane, index))
      steps.append(Step { _ = $0.link(1, to: 0).canSend(sendLane) })
      steps.append(
        Step(
          run: { _ = $0.link(1, to: 0).send(sendLane, call, 9, content, bytes, copied: false) },
          publishes: (0, sendLane, index)))
      steps.append(
        Step(
          run: {
            _ = $0.link(1, to: 2).sendShared(
              sendLane, call, 9, bytes, original: $0.link(1, to: 0), originalSequence: sequence)
          }, publishes: (2, sendLane, index)))

      let composed = BytePool.shared.content(key(composeLane, index))
      steps.append(Step { _ = $0.link(1, to: 2).reserve(composeLane, bytes) })
      steps.append(Step { memcpy($0.link(1, to: 2).reserve(composeLane, bytes), composed, bytes / 2) })
      steps.append(Step { memcpy($0.link(1, to: 2).reserve(composeLane, bytes), composed, bytes) })
      steps.append(
        Step(run: { _ = $0.link(1, to: 2).commit(composeLane, call, 9, bytes) }, publishes: (2, composeLane, index)))
      steps.append(
        Step(
          run: {
            _ = $0.link(1, to: 0).sendShared(
              composeLane, call, 9, bytes, original: $0.link(1, to: 2), originalSequence: sequence)
          }, publishes: (0, composeLane, index)))

      steps.append(Step { _ = $0.link(1, to: 0).peek(receiveLane) })
      steps.append(Step(run: { $0.link(1, to: 0).consume(receiveLane) }, consumes: true))
    }
    return steps
  }

  /// Runs the first steps of the script in a child, which then kills itself.
  private final class Child {
    let ranks: Ranks
    let steps: ArraySlice<Step>

    init(_ ranks: Ranks, _ steps: ArraySlice<Step>) {
      self.ranks = ranks
      self.steps = steps
    }

    func runAndDie() -> Int32 {
      tutti_fork_call(
        { context in
          let child = Unmanaged<Child>.fromOpaque(context!).takeUnretainedValue()
          for step in child.steps { step.run(child.ranks) }
          kill(getpid(), SIGKILL)
          return 0
        }, Unmanaged.passUnretained(self).toOpaque(), 10)
    }
  }

  @Test("between any two calls") func betweenAnyTwoCalls() throws {
    let script = Self.script()
    for count in 0...script.count {
      let ranks = try Ranks()
      defer { ranks.close() }
      let call = CallSignature(rawValue: 7)
      // Takes all the credit there is, so that the victim's consuming can be seen.
      for index in 0..<Lane.credit {
        _ = ranks.link(0, to: 1).send(Self.receiveLane, call, 9, BytePool.shared.content(UInt64(index)), 5000, copied: false)
      }
      let child = Child(ranks, script[..<count])
      #expect(withExtendedLifetime(child) { child.runAndDie() } == -1, "the child must have been killed")

      let done = script[..<count]
      for survivor in Ranks.survivors {
        let link = ranks.link(survivor, to: Ranks.victim)
        for lane in [Self.sendLane, Self.composeLane] {
          for step in done {
            guard let published = step.publishes, published.survivor == survivor, published.lane == lane else { continue }
            let bytes = Self.sizes[published.index]
            let found = try #require(link.peek(lane), "step \(count), \(published)").pointee
            #expect(found.bytes == bytes && found.count == 9 && found.call.rawValue == 7)
            #expect(
              memcmp(found.payload, BytePool.shared.content(Self.key(lane, published.index)), bytes) == 0,
              "step \(count), \(published)")
            link.consume(lane)
          }
          #expect(link.peek(lane) == nil && !link.hasArrival(lane), "step \(count): a segment that was never sent")
        }
        #expect(link.failure == nil, "step \(count): \(link.failure?.description ?? "")")
      }
      // Exactly the credit that it gave back is there, and no more.
      let consumed = done.count(where: \.consumes)
      var sent = 0
      while ranks.link(0, to: 1).canSend(Self.receiveLane), sent <= Lane.credit {
        _ = ranks.link(0, to: 1).send(Self.receiveLane, call, 9, BytePool.shared.content(1), 5000, copied: false)
        sent += 1
      }
      #expect(sent == consumed, "step \(count)")
    }
  }

  /// Sends without end, and is ended by its own timer somewhere.
  private final class Sender {
    let ranks: Ranks
    let microseconds: Int
    let seed: UInt64

    init(_ ranks: Ranks, _ microseconds: Int, _ seed: UInt64) {
      self.ranks = ranks
      self.microseconds = microseconds
      self.seed = seed
    }

    static func bytes(_ seed: UInt64, _ index: UInt64) -> Int {
      var generator = SeededGenerator(seed, index)
      return Bool.random(using: &generator)
        ? Int.random(in: 0...200, using: &generator) : Int.random(in: 0...131_000, using: &generator)
    }

    func run() -> Int32 {
      tutti_fork_call(
        { context in
          let sender = Unmanaged<Sender>.fromOpaque(context!).takeUnretainedValue()
          signal(SIGALRM, SIG_DFL)
          var alarm = sigset_t()
          sigemptyset(&alarm)
          sigaddset(&alarm, SIGALRM)
          pthread_sigmask(SIG_UNBLOCK, &alarm, nil)
          var timer = itimerval()
          timer.it_value.tv_usec = sender.microseconds
          setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
          sender.sendForever()
          return 0
        }, Unmanaged.passUnretained(self).toOpaque(), 10)
    }

    private func sendForever() {
      let (first, second) = (ranks.link(1, to: 0), ranks.link(1, to: 2))
      var index: UInt64 = 0
      while true {
        let bytes = Self.bytes(seed, index)
        while !first.canSend(0) || !second.canSend(0) {}
        let sequence = first.send(
          0, CallSignature(rawValue: index), index, BytePool.shared.content(seed &+ index), bytes, copied: false)
        _ = second.sendShared(
          0, CallSignature(rawValue: index), index, bytes, original: first, originalSequence: sequence)
        index += 1
      }
    }
  }

  @Test("anywhere inside a call, while both others read") func anywhere() throws {
    var generator = SeededGenerator(testSeed)
    var total: UInt64 = 0
    for round in 0..<40 {
      let ranks = try Ranks()
      defer { ranks.close() }
      let seed = generator.next()
      let sender = Sender(ranks, Int.random(in: 1...3000, using: &generator), seed)
      let handed = Handed((ranks, sender))
      let isDead = Lock(false)
      let child = try TestThread {
        _ = handed.value.1.run()
        isDead.withLock { $0 = true }
      }
      var read: [Int: UInt64] = [0: 0, 2: 0]
      let deadline = Deadline()
      var isLastLook = false
      while true {
        var isQuiet = true
        for survivor in Ranks.survivors {
          let link = ranks.link(survivor, to: Ranks.victim)
          guard let found = link.peek(0)?.pointee else { continue }
          isQuiet = false
          let index = read[survivor]!
          let bytes = Sender.bytes(seed, index)
          #expect(
            found.count == index && found.call.rawValue == index && found.bytes == bytes, "round \(round), seed \(testSeed)")
          #expect(
            memcmp(found.payload, BytePool.shared.content(seed &+ index), found.bytes) == 0,
            "round \(round), seed \(testSeed)")
          link.consume(0)
          read[survivor] = index + 1
        }
        if isLastLook && isQuiet { break }
        isLastLook = isDead.withLock { $0 }
        try deadline.check("the end of the sender")
      }
      #expect(child.join() == nil)
      // The second gets each segment after the first.
      #expect(read[0]! == read[2]! || read[0]! == read[2]! + 1, "round \(round), seed \(testSeed): \(read)")
      for survivor in Ranks.survivors { #expect(ranks.link(survivor, to: Ranks.victim).failure == nil) }
      total += read[0]!
    }
    #expect(total > 40, "the senders hardly came to send anything")
  }
}
