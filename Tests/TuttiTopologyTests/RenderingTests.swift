import Foundation
import Testing
import TuttiTopology

/// Texts and pictures of topologies.
@Suite struct RenderingTests {
  @Test func textShowsTheWhole() throws {
    let topology = try Topologies.load("two-racks.yaml")
    let text = topology.text
    #expect(text.hasPrefix("two-racks: 8 hosts, 40 ranks\n"))
    #expect(text.contains("hash \(topology.hash)\n"))
    #expect(text.contains("network: graph, 2 switches, 12 cables\n"))
    #expect(
      text.contains(
        """
        40 ranks, numbered round-robin over the hosts
        ├─ switch 0: ranks 0, 1, 2, ... 29
        │  ├─ old1: ranks 0, 8, 16, 24
        │  │  └─ socket 0: ranks 0, 8, 16, 24
        │  ├─ old2: ranks 1, 9, 17, 25
        │  └─ ... 6 in all
        └─ switch 1: ranks 6, 7, 14, ... 39
        """))
    #expect(text.contains("host                        8         4 to 8     13 us    25 Gb/s     25 Gb/s\n"))
  }

  @Test(arguments: Topologies.files) func picturesAreWellFormed(_ file: String) throws {
    let topology = try Topologies.load(file)
    let svg = topology.svg
    #expect(svg.utf8.count < 300_000, "of what there are many of, a few are drawn")
    #expect(svg.contains("<title>\(topology.title)</title>"))
    // Each element is closed, and nothing lies outside of the picture.
    let opened = svg.matches(of: /<(svg|text|title)[ >]/).count
    #expect(opened == svg.matches(of: /<\/(svg|text|title)>/).count)
    #expect(svg.matches(of: /<(rect|line|circle)[^>]*[^\/]>/).isEmpty)
    let height = try #require(svg.firstMatch(of: /height="(\d+)" viewBox/).flatMap { Double($0.1) })
    for match in svg.matches(of: /\b(x|y|x1|x2|y1|y2|cx|cy)="(-?[\d.]+)"/) {
      let place = try #require(Double(match.2))
      #expect(place >= 0 && place <= (match.1.contains("y") ? height : 1080), "\(match.0)")
    }
  }

  @Test func namesAreEscaped() throws {
    let topology = try Topologies.read("name: \"<a> & 'b'\"\nhosts: {}\n")
    #expect(topology.svg.contains("<title>&lt;a&gt; &amp; 'b': 1 host, 1 rank</title>"))
  }
}
