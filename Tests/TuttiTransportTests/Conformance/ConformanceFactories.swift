import CTuttiLinux
import FifthTransport
import Glibc
import Testing
import TuttiSharedMemory
import TuttiSystem
import TuttiTCP
import TuttiTransport

/// Makes connected links for the conformance suite: rank 3 at the first end, rank 5 at the second.
protocol LinkPairFactory: Sendable, CustomTestStringConvertible {
  var name: String { get }
  func makePair() throws -> (Link, Link)
  /// How many pairs a test of descriptors makes: as many as do not take too long.
  var pairsToClose: Int { get }
}

extension LinkPairFactory {
  var pairsToClose: Int { 1000 }
  var testDescription: String { name }
}

/// The payload size the suite's links are made for: above every threshold of every transport, and no multiple of a page.
let conformanceSegmentBytesMax = 131_000
let firstRank = 3
let secondRank = 5

/// Every transport the suite runs over. A new transport adds a line. `TUTTI_TEST_FABRICS=rdma` leaves those that need no
/// device out.
let conformanceFactories: [any LinkPairFactory] =
  (getenv("TUTTI_TEST_FABRICS").map { String(cString: $0) } == "rdma" ? [] : softFactories)
  + (RDMABench.obstacle == nil ? [RDMAFactory(), RDMAStripedFactory()] as [any LinkPairFactory] : [])

private let softFactories: [any LinkPairFactory] =
  [
    InProcessFactory(faults: nil), SharedMemoryFactory(), TCPFactory(sendBufferBytes: nil),
    TCPFactory(sendBufferBytes: 16_384), TCPFactory(sendBufferBytes: nil, isEncrypted: true),
    TCPFactory(sendBufferBytes: 16_384, isEncrypted: true), FifthFactory(),
  ]
  + (1...3).map { InProcessFactory(faults: InProcessFaults(seed: testSeed &+ $0)) }

struct InProcessFactory: LinkPairFactory {
  let faults: InProcessFaults?
  var name: String { faults.map { "in-process, hostile, seed \($0.seed)" } ?? "in-process" }

  func makePair() throws -> (Link, Link) {
    try InProcessLink.makePair(
      rankA: firstRank, rankB: secondRank, doorbells: (Doorbell(), Doorbell()),
      segmentBytesMax: conformanceSegmentBytesMax, faults: faults)
  }
}

/// The transport that is only a test's, through its ends, as a communicator makes its links.
struct FifthFactory: LinkPairFactory {
  let name = "fifth"

  func makePair() throws -> (Link, Link) {
    let ends = [firstRank, secondRank].map { FifthEnd(rank: $0, segmentBytesMax: conformanceSegmentBytesMax) }
    for end in ends { end.start(try Doorbell()) }
    let (near, far) = try unixSockets()
    try ends[0].answer(secondRank, over: Connection(OwnedDescriptor(near)))
    try ends[1].dial(
      firstRank, over: Connection(OwnedDescriptor(far)), deadline: monotonicNanoseconds() + 5_000_000_000, giveUp: { nil })
    var links: [Link] = []
    for end in ends { end.takeLinks(into: &links) }
    return (links[0], links[1])
  }
}

struct SharedMemoryFactory: LinkPairFactory {
  let name = "shm"

  func makePair() throws -> (Link, Link) {
    let links = try sharedMemoryLinks([firstRank, secondRank])
    return (links[0][1]!, links[1][0]!)
  }
}

/// The shared memory links between ranks that share this process: element i holds those of `ranks[i]`, with nil for itself.
func sharedMemoryLinks(_ ranks: [Int]) throws -> [[SharedMemoryLink?]] {
  // The smallest window that takes the suite's largest segment.
  let geometry = SharedMemoryGeometry(rankCount: ranks.count, windowBytesMax: 131_072)
  let endpoints = try ranks.enumerated().map {
    try SharedMemoryEndpoint(rank: $1, localIndex: $0, geometry: geometry)
  }
  var links = ranks.map { _ in [SharedMemoryLink?](repeating: nil, count: ranks.count) }
  for (first, second) in ranks.indices.flatMap({ first in (0..<first).map { (first, $0) } }) {
    let (near, far) = try unixSockets()
    defer {
      tutti_close(near)
      tutti_close(far)
    }
    try endpoints[first].introduce(over: near)
    try endpoints[second].introduce(over: far)
    links[first][second] = try endpoints[first].acceptIntroduction(over: near, from: ranks[second], place: second)
    links[second][first] = try endpoints[second].acceptIntroduction(over: far, from: ranks[first], place: first)
  }
  return links
}

/// Two connected Unix sockets.
func unixSockets() throws -> (Int32, Int32) {
  var pair: [Int32] = [-1, -1]
  try systemCall("socketpair") { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &pair) }
  return (pair[0], pair[1])
}

struct TCPFactory: LinkPairFactory {
  /// A socket buffer so small that most writes are cut off; nil for what the link sets itself.
  let sendBufferBytes: Int32?
  var isEncrypted = false
  var name: String {
    (isEncrypted ? "tcp with TLS" : "tcp") + (sendBufferBytes.map { ", send buffer of \($0) bytes" } ?? "")
  }

  func makePair() throws -> (Link, Link) {
    let (first, second) = try loopbackSockets()
    let sessions: (dialer: TLSSession?, listener: TLSSession?) = isEncrypted ? try tlsSessions(first, second) : (nil, nil)
    let links = (
      try TCPLink(
        connection: Connection(OwnedDescriptor(first), tls: sessions.dialer), peer: secondRank, rank: firstRank,
        segmentBytesMax: conformanceSegmentBytesMax),
      try TCPLink(
        connection: Connection(OwnedDescriptor(second), tls: sessions.listener), peer: firstRank, rank: secondRank,
        segmentBytesMax: conformanceSegmentBytesMax)
    )
    if var bytes = sendBufferBytes {
      for socket in [first, second] {
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
      }
    }
    return links
  }
}

/// Two connected TCP sockets on the loopback interface.
func loopbackSockets() throws -> (Int32, Int32) {
  let listener = try systemCall("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
  defer { close(listener) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let client = try systemCall("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
  _ = try TCPSocketOptions.apply(to: listener)
  try withUnsafeMutablePointer(to: &address) { pointer in
    try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      try systemCall("bind") { bind(listener, generic, length) }
      try systemCall("listen") { listen(listener, 1) }
      try systemCall("getsockname") { getsockname(listener, generic, &length) }
      try systemCall("connect") { connect(client, generic, length) }
    }
  }
  var ready = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
  try systemCall("poll") { poll(&ready, 1, 10_000) }
  let server = try systemCall("accept") { accept(listener, nil, nil) }
  return (client, server)
}
