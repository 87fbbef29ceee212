import Testing
import TuttiSystem

@testable import TuttiLaunch

/// What launchers and agents say to each other, and how ranks meet over it.
@Suite struct AgentMessageTests {
  private static let rank = AgentRank(
    rank: 3, program: "/bin/a b", arguments: ["", "--x=1", "ü"], environment: ["A": "", "B": "c=d"], output: .inherited,
    errors: .file("/tmp/e"))
  static let messages: [LauncherMessage] = [
    .job(AgentJob(folder: "/f", name: "n", rankCount: 4, secret: "s", environment: ["TUTTI_X": "1"], ranks: [rank])), .alive,
    .pause, .resume, .barrierOut(["k": "v"]), .readerLeft(2),
  ]
  static let reports: [AgentReport] = [
    .alive, .refused("no"), .notice("so"), .output(rank: 5, stream: 2, bytes: [0, 10, 255]), .put(key: "k", value: "v"),
    .barrierIn(rank: 7), .ended(rank: 1, process: 99, .exited(3)), .ended(rank: 1, process: 99, .signalled(9)),
    .ended(rank: 1, process: 99, .unknown),
  ]

  @Test func messagesArriveAsTheyWere() throws {
    for message in Self.messages { #expect(try LauncherMessage(message.bytes) == message) }
    for report in Self.reports { #expect(try AgentReport(report.bytes) == report) }
  }

  /// Cut anywhere, or with more behind it, none is taken for another one.
  @Test func tornMessagesAreRefused() {
    for message in Self.messages {
      for length in 0..<message.bytes.count {
        #expect(throws: MalformedMessage.self) { try LauncherMessage(Array(message.bytes.prefix(length))) }
      }
      #expect(throws: MalformedMessage.self) { try LauncherMessage(message.bytes + [0]) }
    }
    for report in Self.reports {
      if case .output = report { continue }
      for length in 0..<report.bytes.count {
        #expect(throws: MalformedMessage.self) { try AgentReport(Array(report.bytes.prefix(length))) }
      }
      #expect(throws: MalformedMessage.self) { try AgentReport(report.bytes + [0]) }
    }
    // A number of ranks that would need all memory.
    #expect(throws: MalformedMessage.self) { try LauncherMessage([1] + [UInt8](repeating: 255, count: 64)) }
  }

  @Test func framesComeTornAndTogether() throws {
    var reader = FrameReader()
    let frames: [UInt8] = [3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 1, 0, 0, 0, 9]
    var found: [[UInt8]] = []
    for byte in frames {
      reader.add([byte])
      while let frame = try reader.next() { found.append(frame) }
    }
    #expect(found == [[1, 2, 3], [], [9]])
    reader.add([255, 255, 255, 255])
    #expect(throws: MalformedMessage.self) { try reader.next() }
  }

  // MARK: Meeting

  private func lines(_ consequences: [PMIServer.Consequence]) -> [String] {
    consequences.map {
      switch $0 {
      case .answer(let rank, let line): "\(rank): \(line)"
      case .report(let report): "report \(report)"
      case .close(let rank): "close \(rank)"
      }
    }
  }

  @Test func ranksLeaveValuesForEachOther() {
    var (server, space) = (PMIServer(), PMISpace(rankCount: 3))
    #expect(lines(server.receive(Array("cmd=init pmi_ver".utf8), from: 0)).isEmpty)
    #expect(
      lines(server.receive(Array("sion=1\ncmd=get_my_kvsname\n".utf8), from: 0))
        == ["0: cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0", "0: cmd=my_kvsname kvsname=tutti rc=0"])
    let put = server.receive(Array("cmd=put kvsname=tutti key=k value=v:1\n".utf8), from: 0)
    #expect(put.first == .report(.put(key: "k", value: "v:1")))
    space.put("v:1", for: "k")
    #expect(
      lines(server.receive(Array("cmd=get kvsname=tutti key=other\n".utf8), from: 1)) == [
        "1: cmd=get_result rc=-1 msg=not_found"
      ])
    for rank in [0, 1] {
      #expect(server.receive(Array("cmd=barrier_in\n".utf8), from: rank) == [.report(.barrierIn(rank: rank))])
    }
    #expect(space.missing == [] && space.enter(0) == nil && space.enter(1) == nil && space.missing == [2])
    // Rank 2 is on another host.
    let values = space.enter(2)
    #expect(values == ["k": "v:1"] && space.missing == [])
    #expect(lines(server.leaveBarrier(values ?? [:])) == ["0: cmd=barrier_out rc=0", "1: cmd=barrier_out rc=0"])
    var elsewhere = PMIServer()
    _ = elsewhere.receive(Array("cmd=barrier_in\n".utf8), from: 2)
    #expect(lines(elsewhere.leaveBarrier(values ?? [:])) == ["2: cmd=barrier_out rc=0"])
    #expect(
      lines(elsewhere.receive(Array("cmd=get key=k\n".utf8), from: 2)) == ["2: cmd=get_result rc=0 msg=success value=v:1"])
    #expect(lines(elsewhere.receive(Array("GET / HTTP/1.1\n".utf8), from: 2)) == ["close 2"])
    #expect(lines(elsewhere.receive([UInt8](repeating: 0x61, count: 20_000), from: 2)) == ["close 2"])
  }

  @Test func linesOfRanksAreKeptApart() {
    var prefixer = LinePrefixer(rank: 2)
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    #expect(text(prefixer.add(Array("a\nb".utf8))) == "[rank 2] a\n")
    #expect(text(prefixer.add(Array("c\n\n".utf8))) == "[rank 2] bc\n[rank 2] \n")
    #expect(
      text(prefixer.add(Array("end".utf8))) == "" && text(prefixer.finish()) == "[rank 2] end\n" && prefixer.finish() == [])
    #expect(prefixer.add([UInt8](repeating: 0x61, count: 70_000)).count > 70_000)
  }
}
