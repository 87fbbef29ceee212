// What connects the interfaces of a region's hosts: switches and the links between them, as arithmetic where the shape is
// regular, so that a fabric of a hundred thousand links takes no memory and a route is computed in the time it takes to
// name its links.

/// The cable of a host, as its fabric sees it.
package struct FabricAccess: Sendable {
  /// nil: as fast as the interface.
  package var bandwidth: Bandwidth?
  /// How long the cable takes towards the fabric, the switch that it enters included; and back.
  package var up: Latency, down: Latency
  /// The switch at its end.
  package var name: String
}

/// A fabric's shape. Ports are where interfaces are plugged in. Links between switches are directed, and numbered from 0.
///
/// Routes are the same on all ranks: where several are equally short, `flow` says which one is taken, as the hash of an
/// ECMP group does.
package protocol Fabric: Sendable {
  /// The name that files have for it: `leaf-spine`.
  var type: String { get }
  /// How many interfaces can be plugged in.
  var portCount: Int { get }
  var switchCount: Int { get }
  /// Directed links between switches.
  var linkCount: Int { get }
  func figures(of link: Int) -> LinkFigures
  /// The switches that a link connects, by name.
  func ends(of link: Int) -> (from: String, to: String)
  func access(_ port: Int) -> FabricAccess

  /// Appends the links between the switches of two ports, `base` added to their numbers.
  func appendRoute(from: Int, to: Int, flow: UInt64, base: Int, links: inout [Int])
  /// Appends the links from a port's switch to where the region's router is, or those of the way back.
  func appendGateway(of port: Int, inward: Bool, flow: UInt64, base: Int, links: inout [Int])

  /// Ports with the same number reach each other; others do not. nil: nothing is plugged in.
  func segment(of port: Int) -> Int?

  /// How ports belong together, from the outermost level to the innermost: `["pod", "edge"]`.
  var levels: [String] { get }
  func group(of port: Int, at level: Int) -> Int
  /// What all links out of a group carry together, for the group of the level that has the least; nil where there are
  /// none.
  func exit(at level: Int) -> Bandwidth?
  /// Shape and figures in words: `32 leaves, 16 spines, uplinks 400 Gb/s`.
  var summary: String { get }
  func hash(into hash: inout ContentHash)
}

extension Fabric {
  package func segment(of port: Int) -> Int? { 0 }
  package var levels: [String] { [] }
  package func group(of port: Int, at level: Int) -> Int { 0 }
  package func exit(at level: Int) -> Bandwidth? { nil }
}

/// How long links of a fabric take: the cable, and the switch that a message enters at its end.
package struct HopLatencies: Hashable, Sendable {
  package var cable: Latency
  package var `switch`: Latency

  package var hop: Latency { cable + `switch` }

  package func access(bandwidth: Bandwidth?, name: String) -> FabricAccess {
    FabricAccess(bandwidth: bandwidth, up: hop, down: cable, name: name)
  }
}

/// Which of several equal ways a flow takes.
enum FlowHash {
  /// The finalizer of MurmurHash3: every bit of the input changes half of the output's.
  static func mixed(_ value: UInt64) -> UInt64 {
    var value = value
    value = (value ^ value >> 33) &* 0xff51_afd7_ed55_8ccd
    value = (value ^ value >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return value ^ value >> 33
  }

  /// A choice among `count`, another one for each stage of a route.
  static func choose(_ flow: UInt64, stage: UInt64, of count: Int) -> Int {
    Int(mixed(flow &+ stage &* 0x9e37_79b9_7f4a_7c15) % UInt64(count))
  }
}
