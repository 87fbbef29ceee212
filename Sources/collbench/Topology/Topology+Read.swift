import Tutti
import TuttiSystem
import TuttiTopology

/// Why a file gives no topology: it cannot be read, or is wrong. For standard error, with the file's name first, so that
/// editors can jump there.
struct TopologyFailure: Error, CustomStringConvertible {
  let description: String
}

/// The topology that a file describes.
func describedTopology(in path: String) throws(TopologyFailure) -> Topology {
  do throws(FailureReport) { return try Topology.read(path) } catch {
    // What is wrong with the content has its line after the name, and ends as it does.
    let isLocated = error.message.dropFirst(path.count + 1).first?.isNumber == true
    throw TopologyFailure(description: error.message + (isLocated ? "" : "."))
  }
}

extension Topology {
  /// `1024 hosts, 8192 ranks`.
  var counts: String {
    (hostCount == 1 ? "1 host" : "\(hostCount) hosts") + ", " + (rankCount == 1 ? "1 rank" : "\(rankCount) ranks")
  }
}
