/// What two rails have in common exactly when one can be reached from the other, so that a table of thousands of ranks is
/// compared by sets instead of pair by pair.
package struct RailNetwork: Hashable {
  /// How much two addresses must have in common.
  package enum Scope {
    /// `Rail.sharesSubnet(with:)`: packets get there without a router.
    case subnet
    /// `Rail.canRoute(to:)`: they may, if routers lead there.
    case routed
  }

  package let linkLayer: Rail.LinkLayer
  package let prefixLength: UInt8
  /// The address without the bits that are the rail's own.
  package let prefix: [UInt8]

  package init(_ rail: Rail, _ scope: Scope) {
    linkLayer = rail.linkLayer
    prefixLength = scope == .subnet ? rail.prefixLength : 0
    prefix = scope == .subnet ? rail.subnetBits : Array(repeating: 0, count: rail.address.count)
  }
}
