import TuttiTransport

/// What two rails have in common exactly when one can be reached from the other, so that a table of thousands of ranks is compared by sets
/// instead of pair by pair.
struct RailNetwork: Hashable {
  /// How much two addresses must have in common.
  enum Scope {
    /// `Rail.sharesSubnet(with:)`: packets get there without a router.
    case subnet
    /// `Rail.canRoute(to:)`: they may, if routers lead there.
    case routed
  }

  let linkLayer: Rail.LinkLayer
  let prefixLength: UInt8
  /// The address without the bits that are the rail's own.
  let prefix: [UInt8]

  init(_ rail: Rail, _ scope: Scope) {
    linkLayer = rail.linkLayer
    prefixLength = scope == .subnet ? rail.prefixLength : 0
    var bits = Int(prefixLength)
    prefix = rail.address.map { byte in
      defer { bits -= 8 }
      return bits >= 8 ? byte : bits <= 0 ? 0 : byte & ~(UInt8.max >> UInt8(bits))
    }
  }
}
