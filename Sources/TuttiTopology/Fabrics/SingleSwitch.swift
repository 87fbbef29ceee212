/// All interfaces on one switch that carries what all of them send: the only links are the hosts' cables.
package struct SingleSwitch: Fabric {
  package let portCount: Int
  package let bandwidth: Bandwidth?
  package let latencies: HopLatencies

  package var type: String { "switch" }
  package var switchCount: Int { 1 }
  package var linkCount: Int { 0 }

  package func figures(of link: Int) -> LinkFigures { preconditionFailure("a single switch has no links to others") }
  package func ends(of link: Int) -> (from: String, to: String) {
    preconditionFailure("a single switch has no links to others")
  }
  package func access(_ port: Int) -> FabricAccess { latencies.access(bandwidth: bandwidth, name: "switch") }
  package func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int]) {}
  package func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int]) {}

  package var summary: String { "one switch" }

  package func hash(into hash: inout ContentHash) {
    hash.combine(bandwidth?.bitsPerSecond ?? 0)
    hash.combine(latencies)
  }
}

extension ContentHash {
  mutating func combine(_ latencies: HopLatencies) {
    combine(latencies.cable.picoseconds)
    combine(latencies.switch.picoseconds)
  }
}
