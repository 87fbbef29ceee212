import TuttiSystem
import TuttiTransport

/// One end of a link in a simulated world: late, short and torn as the seed says, all within ``Link``'s contract.
///
/// Held payloads are read at the last moment, piece by piece, and what the link gave out is overwritten as soon as the
/// contract allows, so that whoever reads or gives back memory at the wrong time gets wrong bits.
package final class SimulatedLink: Link {
  private let world: SimulatedWorld
  private let channel: SimulatedChannel
  private let side: Int
  private let rank: Int
  private let weather: SimulatedWeather
  private let lanes: UnsafeMutablePointer<Intake>
  private let staging: UnsafeMutableRawPointer
  /// Copies of payloads that were sent, by lane and slot.
  private let copies: UnsafeMutableRawPointer
  static let segmentBytesMax = 256

  /// The segment being taken in.
  private struct Intake {
    var arrival: Arrival
    var copied = -1
    var pieceBytes = 1
    var isShown = false
    var offer: (call: CallSignature, count: UInt64, destination: UnsafeMutableRawPointer, bytes: Int)?
  }

  init(_ world: SimulatedWorld, _ channel: SimulatedChannel, side: Int, rank: Int, peer: Int, _ weather: SimulatedWeather) {
    self.world = world
    self.channel = channel
    self.side = side
    self.rank = rank
    self.weather = weather
    staging = .allocate(byteCount: Lane.count * Self.segmentBytesMax, alignment: 64)
    copies = .allocate(byteCount: Lane.count * Lane.credit * Self.segmentBytesMax, alignment: 64)
    lanes = .allocate(capacity: Lane.count)
    let nothing = Arrival(call: CallSignature(rawValue: 0), count: 0, payload: staging, bytes: 0, placed: false)
    lanes.initialize(repeating: Intake(arrival: nothing), count: Lane.count)
    super.init(
      peer: peer, transport: TransportKind("simulated"), segmentBytesMax: Self.segmentBytesMax,
      needsProgress: weather.needsProgress, composesInPlace: weather.composesInPlace)
  }

  deinit {
    lanes.deallocate()
    staging.deallocate()
    copies.deallocate()
  }

  // MARK: Sending

  package override func canSend(_ lane: Int) -> Bool {
    world.tick()
    if !isWhole() { return false }
    hearNews(lane)
    let stream = channel.streams[side][lane]
    if stream.sent - stream.told >= UInt64(Lane.credit) { return false }
    return world.chance(8) >= weather.refusals
  }

  package override func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 {
    world.require(bytes <= segmentBytesMax, "a segment is larger than the link takes")
    let number = channel.streams[side][lane].sent + 1
    world.require(number - channel.streams[side][lane].told <= UInt64(Lane.credit), "a segment is sent without credit")
    var payload = source
    if copied && bytes > 0 {
      let slot = copies + (lane * Lane.credit + Int(number % UInt64(Lane.credit))) * Self.segmentBytesMax
      slot.copyMemory(from: source, byteCount: bytes)
      payload = UnsafeRawPointer(slot)
    }
    let isHeld = !copied && bytes > 0
    let last = channel.streams[side][lane].segments.last?.visibleAt ?? 0
    channel.streams[side][lane].segments.append(
      SimulatedChannel.Segment(
        arrival: Arrival(call: call, count: count, payload: payload, bytes: bytes, placed: false), isHeld: isHeld,
        visibleAt: max(last, world.now + world.delay(weather.delayMax))))
    channel.streams[side][lane].sent = number
    if isHeld { channel.streams[side][lane].held.append(number) }
    world.segmentWasSent(by: rank, to: peer, channel)
    return number
  }

  package override func released(_ lane: Int) -> UInt64 {
    world.tick()
    hearNews(lane)
    // Copied segments are free at once, but a count can only say so up to the first held one.
    if let first = channel.streams[side][lane].held.first { return first - 1 }
    return channel.streams[side][lane].sent
  }

  /// Takes in what the receiver has consumed, as far as the news of it has come.
  private func hearNews(_ lane: Int) {
    while let first = channel.streams[side][lane].news.first, first <= world.now {
      channel.streams[side][lane].news.removeFirst()
      channel.streams[side][lane].told += 1
      let told = channel.streams[side][lane].told
      if channel.streams[side][lane].held.first == told { channel.streams[side][lane].held.removeFirst() }
    }
    _ = isWhole()
  }

  // MARK: Receiving

  package override func progress() {
    for lane in 0..<Lane.count { takeIn(lane) }
  }

  package override func offer(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ destination: UnsafeMutableRawPointer, _ bytes: Int
  ) {
    lanes[lane].offer = (call, count, destination, bytes)
  }

  package override func peek(_ lane: Int) -> UnsafePointer<Arrival>? {
    if !weather.needsProgress { takeIn(lane) }
    if !lanes[lane].isShown { return nil }
    return UnsafeRawPointer(lanes + lane).assumingMemoryBound(to: Arrival.self)
  }

  package override func hasArrival(_ lane: Int) -> Bool { lanes[lane].isShown || canBeRead(lane) }

  package override func consume(_ lane: Int) {
    world.require(lanes[lane].isShown, "a segment is consumed that was not shown")
    // Whoever still reads it gets garbage.
    world.scribble(staging + lane * Self.segmentBytesMax, lanes[lane].arrival.bytes)
    lanes[lane].isShown = false
    lanes[lane].copied = -1
    lanes[lane].offer = nil
    let direction = 1 - side
    channel.streams[direction][lane].segments.removeFirst()
    channel.streams[direction][lane].consumed += 1
    let last = channel.streams[direction][lane].news.last ?? 0
    channel.streams[direction][lane].news.append(max(last, world.now + world.delay(weather.delayMax)))
  }

  /// Whether the next segment of a lane has arrived, and its payload may be read.
  private func canBeRead(_ lane: Int) -> Bool {
    guard let segment = channel.streams[1 - side][lane].segments.first else { return false }
    if let cutAt = channel.cutAt, segment.visibleAt > cutAt { return false }
    return segment.visibleAt <= world.now && !(segment.isHeld && channel.isGone[1 - side])
  }

  /// One poll: reads a piece of the next segment, and shows it once all of it is there.
  private func takeIn(_ lane: Int) {
    world.tick()
    if lanes[lane].isShown { return }
    guard canBeRead(lane), let segment = channel.streams[1 - side][lane].segments.first else {
      _ = isWhole()
      return
    }
    let arrival = segment.arrival
    if lanes[lane].copied < 0 {
      lanes[lane].copied = 0
      lanes[lane].arrival = arrival
      lanes[lane].arrival.payload = UnsafeRawPointer(staging + lane * Self.segmentBytesMax)
      let pieces = 1 + world.chance(weather.piecesMax)
      lanes[lane].pieceBytes = max(1, (arrival.bytes + pieces - 1) / pieces)
      if weather.places, let offer = lanes[lane].offer, offer.call == arrival.call, offer.count == arrival.count,
        offer.bytes == arrival.bytes
      {
        lanes[lane].arrival.placed = true
        lanes[lane].arrival.payload = UnsafeRawPointer(offer.destination)
      }
    }
    let from = lanes[lane].copied
    let size = min(lanes[lane].pieceBytes, arrival.bytes - from)
    if size > 0 {
      UnsafeMutableRawPointer(mutating: lanes[lane].arrival.payload + from).copyMemory(
        from: arrival.payload + from, byteCount: size)
    }
    lanes[lane].copied += size
    lanes[lane].isShown = lanes[lane].copied == arrival.bytes
  }

  // MARK: The end

  /// Whether segments can still come and go; notes a failure when they cannot.
  private func isWhole() -> Bool {
    if status.pointee.failed { return false }
    if let cutAt = channel.cutAt, cutAt <= world.now {
      fail(FailureReport(.peerLost, rank: rank, peer: peer, "the link to rank \(peer) was cut", transport: transport.name))
      return false
    }
    if channel.isGone[1 - side] {
      // What it sent before arrives, and so does the news of what it consumed.
      let isQuiet =
        channel.streams[1 - side].allSatisfy { $0.segments.allSatisfy(\.isHeld) }
        && channel.streams[side].allSatisfy { $0.news.isEmpty }
      if !isQuiet { return false }
      fail(FailureReport(.peerLost, rank: rank, peer: peer, "rank \(peer) closed its link", transport: transport.name))
      return false
    }
    return true
  }

  /// The peer must not read this rank's memory any more.
  func revoke() { channel.isGone[side] = true }

  package override var maximumPark: UInt64 { 1_000_000 }

  package override func startClosing() { revoke() }
}
