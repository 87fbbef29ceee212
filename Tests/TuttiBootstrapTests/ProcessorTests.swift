import TuttiSystem
import TuttiTopology
import Foundation
import Testing

@testable import TuttiBootstrap

/// A set from a list that the test knows to be one.
func processors(_ list: String) -> ProcessorSet { ProcessorSet(list: list)! }

/// Sets of processors, how they travel, and what the kernel's files say about them.
@Suite struct ProcessorTests {
  // MARK: Sets

  @Test(arguments: [
    ("", []), ("0", [0]), ("0-3,8", [0, 1, 2, 3, 8]), ("63-64", [63, 64]), ("8,0-1", [0, 1, 8]), ("1,1-2", [1, 2]),
    ("8191", [8191]),
  ])
  func lists(list: String, numbers: [Int]) throws {
    let set = try #require(ProcessorSet(list: list))
    #expect(set.numbers == numbers && set.count == numbers.count && set.isEmpty == numbers.isEmpty)
    #expect(ProcessorSet(list: set.description) == set)
    #expect(set == ProcessorSet(numbers) && set.numbers.allSatisfy(set.contains))
    #expect(!set.contains(-1) && !set.contains(7) && !set.contains(9000))
  }

  @Test(arguments: [
    "x", "1-", "-1", "1--2", "3-1", "1,,2", ",", "1-2-3", "+1", " 1", "1\n", "٣", "8192", "0-8192", "99999999999999999999",
  ])
  func malformedLists(list: String) { #expect(ProcessorSet(list: list) == nil) }

  @Test func algebra() {
    let (left, right) = (processors("0-3,100"), processors("2-5"))
    #expect(left.union(right) == processors("0-5,100"))
    #expect(left.intersection(right) == processors("2-3"))
    #expect(left.subtracting(right) == processors("0-1,100"))
    // Equal however they came to be: no zeros at the end.
    #expect(left.subtracting(processors("100")) == processors("0-3"))
    #expect(processors("2-3").isSubset(of: left) && !right.isSubset(of: left) && processors("").isSubset(of: right))
  }

  @Test func theCallingThreadsOwn() throws {
    let before = ProcessorSet.ofCallingThread()
    #expect(!before.isEmpty)
    let results = try runRanks(0..<1) { _ throws(FailureReport) in
      let first = ProcessorSet([before.numbers[0]])
      let code = first.confineCallingThread()
      // A set of processors that are not there changes nothing.
      let refused = processors("8000").confineCallingThread()
      return code == 0 && refused == EINVAL && ProcessorSet.ofCallingThread() == first
    }
    #expect(try results[0]!.get())
    #expect(ProcessorSet.ofCallingThread() == before, "another thread's are its own")
  }

  // MARK: Travelling

  private func decode(_ bytes: [UInt8]) throws -> ProcessorAllowance {
    var decoder = WireDecoder(bytes)
    let allowance = try ProcessorAllowance(from: &decoder)
    try decoder.finish("processors")
    return allowance
  }

  private func bytes(_ allowance: ProcessorAllowance) -> [UInt8] {
    var encoder = WireEncoder()
    allowance.encode(into: &encoder)
    return encoder.bytes
  }

  @Test func allowancesSurviveTheTrip() throws {
    let quota = ProcessorQuota(quotaMicroseconds: 150_000, periodMicroseconds: 100_000, group: .max)
    for list in ["0", "0-63", "5,64", "0-8191"] {
      for allowance in [ProcessorAllowance(inherited: processors(list)), .init(inherited: processors(list), quota: quota)] {
        #expect(try decode(bytes(allowance)) == allowance)
      }
    }
    #expect(bytes(ProcessorAllowance(inherited: processors("0-63"))).count == 36)
    // A table of 65,536 ranks fits, whatever their hosts.
    let largest = bytes(ProcessorAllowance(inherited: processors("0-8191"), quota: quota)).count
    #expect(largest * JobSize.ranksMax < RendezvousMessage.tableBytesMax / 2)
  }

  @Test func hostileAllowancesAreRefused() throws {
    func words(_ count: UInt32, _ words: [UInt64], _ quota: [UInt64] = [0, 0, 0]) -> [UInt8] {
      var encoder = WireEncoder()
      encoder.put(count)
      for word in words + quota { encoder.put(word) }
      return encoder.bytes
    }
    #expect(throws: MalformedMessage("processors")) { try decode(words(0, [])) }
    #expect(throws: MalformedMessage("processors")) { try decode(words(2, [0, 0])) }
    #expect(throws: MalformedMessage("processors")) { try decode(words(129, Array(repeating: 1, count: 129))) }
    #expect(throws: MalformedMessage("processors")) { try decode(words(.max, [1])) }
    // Zeros at the end say nothing.
    #expect(try decode(words(3, [1, 0, 0])).inherited == processors("0"))
    #expect(try decode(words(1, [1], [5, 0, 1])).quota == nil)
    #expect(try decode(words(1, [1], [.max, 1, 1])).quota?.processors == .max)

    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let good = bytes(
      ProcessorAllowance(
        inherited: processors("0-3,70"), quota: .init(quotaMicroseconds: 1, periodMicroseconds: 2, group: 3)))
    for count in 0..<good.count { #expect(throws: MalformedMessage.self) { try decode(Array(good.prefix(count))) } }
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      if let allowance = try? decode(bytes) {
        #expect(!allowance.inherited.isEmpty && (allowance.quota?.processors ?? 1) >= 1, "seed \(seed)")
      }
    }
  }

  // MARK: The kernel's files

  @Test func nodesAndCores() throws {
    // Processor 3 is offline, node 2 has no memory, node 3 no processors, and node 1 is gone.
    let topology = try withTree([
      "node/online": "0,2-3", "node/has_memory": "0,3", "node/node0/cpulist": "0-2,4", "node/node2/cpulist": "5-7",
      "node/node3/cpulist": "", "node/node1/cpulist": "99", "cpu/cpu0/topology/thread_siblings_list": "0,4",
      "cpu/cpu1/topology/thread_siblings_list": "1,5", "cpu/cpu2/topology/thread_siblings_list": "2",
    ]) { ProcessorTopology.read(root: $0, of: processors("0-2,4,6-7")) }
    #expect(topology.nodes.map(\.number) == [0, 2, 3])
    #expect(topology.nodes.map(\.processors) == ["0-2,4", "5-7", ""].map(processors))
    #expect(topology.nodes.map(\.hasMemory) == [true, false, true])
    // A sibling that may not be used is left out; processors 6 and 7 have no file.
    #expect(topology.cores == ["0,4", "1", "2", "6", "7"].map(processors))
    #expect(topology.nodes.memoryNode(of: processors("1,4")) == 0)
    #expect(topology.nodes.memoryNode(of: processors("5-6")) == nil, "no memory there")
    #expect(topology.nodes.memoryNode(of: processors("2,5")) == nil, "two nodes")
    #expect(topology.nodes.memoryNode(of: processors("40")) == nil, "no node")
  }

  @Test func fourNodes() throws {
    var files = ["node/online": "0-3", "node/has_memory": "0-3"]
    for node in 0..<4 { files["node/node\(node)/cpulist"] = "\(4 * node)-\(4 * node + 3)" }
    let nodes = try withTree(files) { ProcessorTopology.readNodes(root: $0) }
    #expect(nodes.map(\.processors.description) == ["0-3", "4-7", "8-11", "12-15"])
    #expect((0..<4).map { nodes.memoryNode(of: ProcessorSet([4 * $0 + 1])) } == [0, 1, 2, 3])
  }

  @Test func hostsWithoutNodes() throws {
    // No such files, files that make no sense, and one node: memory is where it is.
    let oneNode = ["node/online": "0", "node/node0/cpulist": "0-3"]
    for files in [[:], ["node/online": "zero"], ["node/online": "0"], oneNode] {
      let topology = try withTree(files) { ProcessorTopology.read(root: $0, of: processors("0-1")) }
      #expect(topology.nodes.count == (files == oneNode ? 1 : 0) && topology.nodes.memoryNode(of: processors("0")) == nil)
      #expect(topology.cores.count == 2)
    }
    // This host, whatever it is.
    let own = ProcessorSet.ofCallingThread()
    let real = ProcessorTopology.read(of: own)
    #expect(real.cores.reduce(ProcessorSet([])) { $0.union($1) } == own)
  }

  @Test(
    arguments: [
      // Version 2: the group's own, that of a group above, the tightest of several, none.
      (["proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "150000 100000"], 1.5),
      (
        [
          "proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "50000 100000",
          "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        ], 0.5
      ),
      (["proc/self/cgroup": "0::/a", "sys/fs/cgroup/cpu.max": "400000 100000", "sys/fs/cgroup/a/cpu.max": "3000 1000"], 3),
      (["proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"], nil),
      // In a container the path is the host's, and the mount is the group.
      (["proc/self/cgroup": "0::/docker/0123", "sys/fs/cgroup/cpu.max": "200000 100000"], 2),
      // Version 1, together with other controllers or not, beside a version 2 without controllers.
      (
        [
          "proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/a:b\n0::/x",
          "sys/fs/cgroup/cpu,cpuacct/a:b/cpu.cfs_quota_us": "250000",
          "sys/fs/cgroup/cpu,cpuacct/a:b/cpu.cfs_period_us": "100000",
        ], 2.5
      ),
      (
        [
          "proc/self/cgroup": "1:cpu:/", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        ], 1
      ),
      (
        [
          "proc/self/cgroup": "1:cpu:/", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        ], nil
      ),
      // Nothing, and nonsense.
      ([:], nil), (["proc/self/cgroup": "0::"], nil),
      (["proc/self/cgroup": "::::\nx", "sys/fs/cgroup/cpu.max": "many"], nil),
      (["proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "100000 0"], nil),
    ] as [([String: String], Double?)])
  func quotas(files: [String: String], expected: Double?) throws {
    let quota = try withTree(files) { ProcessorQuota.read(root: $0) }
    #expect(quota?.exact == expected)
    if let expected { #expect(quota?.processors == Int(expected.rounded(.up))) }
    #expect(quota?.group != 0)
  }
}

/// Makes a folder of small files, with a line feed at the end of each as in /sys, for as long as `body` runs.
private func withTree<Result>(_ files: [String: String], _ body: (String) -> Result) throws -> Result {
  let root = FileManager.default.temporaryDirectory.appending(path: "tutti-tree-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: root) }
  for (name, text) in files {
    let file = root.appending(path: name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((text + "\n").utf8).write(to: file)
  }
  return body(root.path)
}
