import TuttiTopology
import TuttiTopologyFiles

/// What must hold of the reader of topology files, whatever it is given: it says what is wrong and where, or gives a
/// topology that answers everything. `Scripts/fuzz-topology` has a fuzzer look for bytes of which that is not true,
/// `FuzzTests` a few seeds.
package enum FuzzTopology {
  /// - Returns: What does not hold; nil where all does. What is wrong in the worst way ends the process.
  package static func complaint(about bytes: [UInt8]) -> String? {
    let topology: Topology
    do throws(DescriptionError) { topology = try Topology(file: "fuzz", bytes: bytes) } catch {
      return complaint(
        about: error, lines: bytes.count { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } + 1, bytes: bytes.count)
    }
    return complaint(about: topology)
  }

  private static func complaint(about error: DescriptionError, lines: Int, bytes: Int) -> String? {
    // A parser may take a few more characters for line ends than we do, each of three bytes at most; the end of a file is
    // on a line of its own.
    guard (1...lines + 1 + bytes / 2).contains(error.position.line) else { return "there is no such line: \(error)" }
    guard (1...bytes + 1).contains(error.position.column) else { return "there is no such column: \(error)" }
    guard !error.problem.isEmpty, error.file == "fuzz" else { return "says too little: \(error)" }
    guard error.description.unicodeScalars.allSatisfy({ $0.value >= 32 }) else { return "more than a line: \(error)" }
    guard error.description.utf8.count < 2000 else { return "more than a screen: \(error)" }
    return nil
  }

  private static func complaint(about topology: Topology) -> String? {
    guard topology.rankCount > 0, topology.hostCount > 0, topology.hash.count == 32 else { return "there is nobody" }
    var outer = [Int](repeating: 0, count: topology.rankCount)
    for level in topology.rankCount <= 16_384 ? topology.levels : [] {
      guard level.numbers.count == topology.rankCount else { return "level \(level.name) has not every rank" }
      var groups: [Int: Int] = [:]
      for (rank, number) in level.numbers.enumerated() {
        if let other = groups.updateValue(outer[rank], forKey: number), other != outer[rank] {
          return "level \(level.name) divides no group of the one before"
        }
      }
      outer = level.numbers
    }
    // Spread over all ranks, and the same each time.
    let last = topology.rankCount - 1
    for step in 0...16 {
      for (from, to) in [(0, step * last / 16), (step * last / 16, last), (last - step * last / 16, step * last / 16)] {
        if let complaint = complaint(about: topology.path(from: from, to: to, flow: step), from, to, topology) {
          return complaint
        }
      }
    }
    // What a figure is taken from must be there, and drawings must end. A sanitizer makes large ones a matter of seconds.
    guard topology.rankCount <= 1024 else { return nil }
    guard topology.rankCount == 1 || !topology.levelFigures.isEmpty else { return "no figures" }
    guard !topology.text.isEmpty, topology.svg.hasSuffix("</svg>\n") else {
      return "no drawing"
    }
    return nil
  }

  private static func complaint(about path: RankPath, _ from: Int, _ to: Int, _ topology: Topology) -> String? {
    let (source, target) = (topology.location(of: from), topology.location(of: to))
    guard from != to else { return path.links.isEmpty ? nil : "rank \(from) passes links to itself" }
    let links = path.links.map(topology.link)
    guard let bandwidth = path.bandwidth, bandwidth.bitsPerSecond > 0, path.latency.picoseconds > 0 else {
      return "no figures from rank \(from) to \(to)"
    }
    guard Set(path.links).count == path.links.count else { return "a circle from rank \(from) to \(to)" }
    let cables = links.count { $0.kind == .access }
    return cables == (source.host == target.host ? 0 : 2) ? nil : "\(cables) cables of hosts from rank \(from) to \(to)"
  }
}

/// What libFuzzer calls.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  if let complaint = FuzzTopology.complaint(about: Array(UnsafeBufferPointer(start: start, count: count))) {
    preconditionFailure(complaint)
  }
  return 0
}
