import Foundation
import Testing
import TuttiSystem

/// Tests why a demand is refused, and what the refusal says.
@Suite struct ResourceLimitsTests {
  private static func refusal(_ limits: ResourceLimits, _ change: (inout ResourceDemand) -> Void) -> FailureReport? {
    var demand = ResourceDemand()
    change(&demand)
    do throws(FailureReport) {
      try limits.check(demand, for: "a test", rank: 3, transport: "tcp", orElse: "ask for less")
      return nil
    } catch { return error }
  }

  @Test("what fits exactly is taken, a byte more is refused") func edges() {
    let group = MemoryGroup(file: "memory.max", identity: 1, limit: 1000, used: 400)
    let limits = ResourceLimits(
      fileBytes: 100, addressBytes: 1000, addressBytesUsed: 300, descriptors: 20, descriptorsUsed: 5, memoryGroups: [group])
    let cases: [(edge: Int, words: [String], set: (inout ResourceDemand, Int) -> Void)] = [
      (100, ["file of 101 bytes", "files of 100 bytes", "RLIMIT_FSIZE"], { $0.fileBytes = $1 }),
      (700, ["701 bytes of address space", "700 bytes of 1000 bytes are left", "RLIMIT_AS"], { $0.addressBytes = $1 }),
      (15, ["16 more descriptors", "15 of 20 are left", "ulimit -n 21"], { $0.descriptors = $1 }),
      (
        600, ["601 bytes of memory", "600 bytes of 1000 bytes are left (memory.max)", "by 1 bytes"], { $0.touchedBytes = $1 }
      ),
    ]
    for (edge, words, set) in cases {
      #expect(Self.refusal(limits) { set(&$0, edge) } == nil)
      let report = Self.refusal(limits) { set(&$0, edge + 1) }
      #expect(report?.code == .resources && report?.rank == 3 && report?.transport == "tcp")
      #expect(report?.advice.hasSuffix(", or ask for less") == true, "\(report?.advice ?? "")")
      for word in words { #expect(report?.description.contains(word) == true, "\(word): \(report?.description ?? "")") }
    }
  }

  @Test("more in use than the limit is nothing left") func overdrawn() {
    let group = MemoryGroup(file: "memory.max", identity: 1, limit: 10, used: 20)
    let limits = ResourceLimits(
      addressBytes: 10, addressBytesUsed: 20, descriptors: 1, descriptorsUsed: 2, memoryGroups: [group])
    #expect(Self.refusal(limits) { _ in } == nil)
    #expect(Self.refusal(limits) { $0.addressBytes = 1 } != nil)
    #expect(Self.refusal(limits) { $0.descriptors = 1 } != nil)
    #expect(Self.refusal(limits) { $0.touchedBytes = 1 } != nil)
  }

  @Test("ranks of the tightest group count together, those of an outer one alone") func groups() {
    let inner = MemoryGroup(file: "inner", identity: 1, limit: 100, used: 0)
    let outer = MemoryGroup(file: "outer", identity: 2, limit: 200, used: 190)
    let limits = ResourceLimits(memoryGroups: [inner, outer])
    #expect(limits.tightestMemoryGroup == inner)
    func touch(_ bytes: Int, _ ranks: Int) -> String {
      Self.refusal(limits) {
        $0.touchedBytes = bytes
        $0.ranksTouching = ranks
      }?.message ?? ""
    }
    #expect(touch(10, 10).isEmpty)
    #expect(touch(10, 11).contains("110 bytes of memory for the 11 ranks of its control group"))
    #expect(touch(11, 1).contains("outer"))
  }

  @Test("shared memory of one's own and of others") func sharing() {
    let demand = ResourceDemand(sharing: 100, peerBytes: 300)
    #expect(demand.fileBytes == 100 && demand.addressBytes == 400 && demand.touchedBytes == 100)
  }

  @Test("this process's own limits are read") func reading() {
    let limits = ResourceLimits.current()
    #expect(limits.descriptorsUsed > 2 && limits.addressBytesUsed > 1 << 20)
  }

  // MARK: Control groups

  /// A tree of control groups made of plain files.
  private final class Tree {
    let root = FileManager.default.temporaryDirectory.appending(path: "tutti-groups-\(UUID().uuidString)")
    deinit { try? FileManager.default.removeItem(at: root) }

    func write(_ path: String, _ text: String) throws {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
  }

  @Test("version 2: from the innermost group up, without those that have no limit") func version2() throws {
    let tree = Tree()
    try tree.write("cgroup.controllers", "memory\n")
    try tree.write("job/memory.max", "1000\n")
    try tree.write("job/memory.current", "700\n")
    try tree.write("job/memory.stat", "anon 400\ninactive_file 50\nactive_file 30\nslab_reclaimable 20\nslab 25\n")
    try tree.write("job/step/memory.max", "max\n")
    try tree.write("job/step/memory.current", "5\n")
    try tree.write("job/step/task/memory.max", "500\n")
    try tree.write("job/step/task/memory.current", "1\n")
    let groups = MemoryGroup.current(membership: "0::/job/step/task\n", mounts: tree.root.path)
    #expect(groups.map(\.limit) == [500, 1000] && groups.map(\.used) == [1, 600] && groups.map(\.left) == [499, 400])
    #expect(groups[0].file.hasSuffix("/job/step/task/memory.max") && groups[0].identity != groups[1].identity)
  }

  @Test("version 1, and a container that sees its own group only as the root") func version1() throws {
    let tree = Tree()
    try tree.write("memory/memory.limit_in_bytes", "1000\n")
    try tree.write("memory/memory.usage_in_bytes", "300\n")
    try tree.write("memory/memory.stat", "cache 250\ntotal_inactive_file 100\n")
    let groups = MemoryGroup.current(membership: "9:cpu:/\n4:memory:/docker/0123\n0::/\n", mounts: tree.root.path)
    #expect(groups.map(\.limit) == [1000] && groups.map(\.left) == [800])
    try tree.write("memory/memory.limit_in_bytes", "9223372036854771712\n")
    #expect(MemoryGroup.current(membership: "4:memory:/\n", mounts: tree.root.path).isEmpty)
  }

  @Test("nonsense is no limit", arguments: ["", "\n\n", "0", "0:", "::::", "x:memory:", "0::/../../etc"])
  func nonsense(membership: String) {
    #expect(MemoryGroup.current(membership: membership, mounts: "/nonexistent").isEmpty)
  }
}
