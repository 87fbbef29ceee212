import Testing
import TuttiTopology

/// Which rails two ranks connect.
@Suite struct RailTests {
  private static func rail(_ subnet: UInt8, _ host: UInt8, megabits: UInt32 = 0) -> Rail {
    Rail(
      device: "mlx5_\(subnet)", port: 1, linkLayer: .ethernet, address: [10, 77, subnet, host], prefixLength: 24,
      megabits: megabits)
  }

  /// By the places in both lists: "0-1 1-0".
  private static func pairs(_ own: [Rail], _ others: [Rail]) -> String {
    Rail.pairs(own, others).map { "\($0.own)-\($0.others)" }.joined(separator: " ")
  }

  @Test func subnetsDecide() {
    let own = [Self.rail(0, 1), Self.rail(1, 1)]
    #expect(Self.pairs(own, [Self.rail(1, 2), Self.rail(0, 2)]) == "0-1 1-0")
    #expect(Self.pairs(own, [Self.rail(1, 2), Self.rail(1, 3)]) == "1-0", "the other has no partner")
    #expect(Self.pairs([Self.rail(1, 1), Self.rail(1, 4)], [Self.rail(1, 2)]) == "0-0", "each once")
    #expect(Self.pairs(own, [Self.rail(5, 2), Self.rail(6, 2)]) == "0-0", "through a router")
    #expect(Self.pairs(own, []) == "")
  }

  /// - Parameter chosen: The pairs that are used.
  @Test(
    arguments: [
      (own: [100, 100], others: [100, 100], chosen: "0-0 1-1"),
      ([100, 100, 40], [100, 100, 40], "0-0 1-1"),
      ([100, 60], [100, 60], "0-0 1-1"),
      ([100, 40], [100, 40], "0-0"),
      ([40, 100], [40, 100], "1-1"),
      // A pair is as slow as its slower end.
      ([100, 100], [100, 25], "0-0"), ([25, 100], [100, 25], "0-0 1-1"),
      ([0, 0], [0, 0], "0-0 1-1"), ([100, 0], [100, 0], "0-0"),
    ] as [(own: [UInt32], others: [UInt32], chosen: String)])
  func slowOnesAreLeftOut(own: [UInt32], others: [UInt32], chosen: String) {
    func rails(_ rates: [UInt32], host: UInt8) -> [Rail] {
      rates.enumerated().map { Self.rail(UInt8($0.offset), host, megabits: $0.element * 1000) }
    }
    #expect(Self.pairs(rails(own, host: 1), rails(others, host: 2)) == chosen)
  }
}
