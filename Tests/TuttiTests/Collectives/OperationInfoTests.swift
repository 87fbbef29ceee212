import Testing
import TuttiSchedule
import TuttiSystem

@testable import Tutti

/// What an operation says of how it runs, and the small values that say it.
@Suite(.serialized) struct OperationInfoTests {
  /// Each work tells of its own operation, whatever was called since.
  @Test(arguments: Fabric.allCases) func eachWorkHasItsOwn(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      let buffers = (0..<3).map { _ in TuttiBuffer<Float>(count: 1000, repeating: 1) }
      let ring = try communicator.startAllReduce(buffers[0], .sum, algorithm: "ring")
      let chosen = try communicator.startAllReduce(buffers[1], .sum)
      let barrier = try communicator.startBarrier(algorithm: "dissemination")
      let message = try communicator.startSend(buffers[2], to: (communicator.rank + 1) % 3)
      let arrival = try communicator.startReceive(
        into: TuttiBuffer<Float>(count: 1000, repeating: 0), from: (communicator.rank + 2) % 3)
      try WorkGroup([barrier, message, arrival, chosen, ring]).wait()
      try communicator.barrier(algorithm: "direct")
      #expect(communicator.lastOperation.algorithm == "direct")
      #expect(ring.info == OperationInfo(algorithm: "ring", transports: [fabric.transport]))
      #expect(barrier.info.algorithm == "dissemination")
      #expect(!["", "auto", "direct", "dissemination"].contains(chosen.info.algorithm))
      #expect(message.info == OperationInfo(algorithm: "", transports: [fabric.transport]))
    }
  }

  /// It is done when the last rank has come, and not before.
  @Test func aStartedBarrierWaitsForAll() throws {
    let communicators = try makeCommunicators(3)
    var works = try communicators[..<2].map { try $0.startBarrier() }
    #expect(try !works[0].wait(timeout: .milliseconds(20)) && !works[1].isDone)
    works.append(try communicators[2].startBarrier())
    try WorkGroup(works).wait()
    communicators.forEach { $0.close() }
  }

  @Test func aSetOfTransportsHasOneOrder() {
    let set: TransportSet = [.tcp, .sharedMemory, .tcp]
    #expect(set == [.sharedMemory, .tcp] && set != [.tcp] && set.count == 2)
    #expect(set.description == "shm+tcp" && TransportSet([]).description == "")
    #expect(set.contains(.tcp) && !set.contains(.rdma) && set.map(\.name) == ["shm", "tcp"])
    let all = TransportSet(TransportChoice.allCases.filter { $0 != .auto } + [TransportChoice(named: "fifth")])
    #expect(all.description == "inprocess+shm+tcp+rdma+fifth")
  }

  @Test func errorsNameTheirTransport() {
    #expect(TuttiError(FailureReport(.transport, "reset", transport: "shm")).transport == .sharedMemory)
    #expect(TuttiError(FailureReport(.transport, "reset", transport: "fifth")).transport?.name == "fifth")
    #expect(TuttiError(FailureReport(.aborted, "enough")).transport == nil)
  }

  @Test func namesAreFoundAgain() {
    func check<Value: Named & Equatable>(_ type: Value.Type) {
      for value in type.allCases {
        #expect(Value(name: value.name) == value && value.description == value.name)
        #expect(Value(name: value.name.uppercased()) == nil)
      }
      #expect(Set(type.allCases.map(\.name)).count == type.allCases.count)
    }
    check(DataType.self)
    check(ReduceOp.self)
    check(Collective.self)
    check(TransportChoice.self)
  }
}
