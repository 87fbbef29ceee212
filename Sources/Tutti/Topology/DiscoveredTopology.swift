// A job's own table of ranks, written as a topology file.

import TuttiTopology

/// What is known of a job's hosts, and what was measured between them, as the text of a topology file.
package struct DiscoveredTopology: Sendable {
  /// What was measured from host to host.
  package struct Measured: Sendable, Hashable {
    /// Half of a round trip, in nanoseconds.
    package var latency: Double
    /// Bytes a nanosecond, in one direction.
    package var bandwidth: Double

    package init(latency: Double, bandwidth: Double) {
      self.latency = latency
      self.bandwidth = bandwidth
    }
  }

  private struct Host {
    var name: String
    var report: HostReport
    var ranks: [Int]
    /// The best that a pair with this host had; nil where nothing was measured.
    var measured: Measured?
  }

  private var hosts: [Host] = []
  /// By rank, the index of its host.
  private var places: [Int] = []

  /// What stands in for a rate that the kernel does not tell, in Mb/s.
  private static let commonMegabits = 10_000
  /// What stands in for the latency of an interface, software included, where nothing was measured, in nanoseconds.
  private static let (commonLatency, commonRDMALatency) = (10_000.0, 700.0)
  /// The latency that the described network has for its switch, in nanoseconds: the default, as the file sets none.
  private static let switchLatency = 500.0

  /// - Parameter reports: By rank.
  package init(_ reports: [HostReport]) {
    var names: Set<String> = []
    var indexes: [HostIdentity: Int] = [:]
    for (rank, report) in reports.enumerated() {
      if let index = indexes[report.host] {
        hosts[index].ranks.append(rank)
        places.append(index)
        continue
      }
      // Two network namespaces of one machine are two hosts of one name.
      let plain = Self.allowed(report.host.name)
      var name = plain
      var number = 2
      while !names.insert(name).inserted {
        name = "\(plain)-\(number)"
        number += 1
      }
      indexes[report.host] = hosts.count
      places.append(hosts.count)
      hosts.append(Host(name: name, report: report, ranks: [rank]))
    }
  }

  private static func allowed(_ name: String) -> String {
    let letters = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "-" }
    return letters.isEmpty ? "host" : String(letters.prefix(60))
  }

  /// The first rank of each host, in the order of the file.
  package var leaders: [Int] { hosts.map { $0.ranks[0] } }
  /// The ranks of each host, in the order of the file.
  package var ranksByHost: [[Int]] { hosts.map(\.ranks) }
  package var hostNames: [String] { hosts.map(\.name) }

  /// Takes in what a pair of hosts measured, by their indexes.
  package mutating func note(_ measured: Measured, between first: Int, and second: Int) {
    for index in [first, second] {
      let known = hosts[index].measured ?? measured
      hosts[index].measured = Measured(
        latency: min(known.latency, measured.latency), bandwidth: max(known.bandwidth, measured.bandwidth))
    }
  }

  // MARK: The file

  /// The text of the file.
  package var text: String {
    let isMeasured = hosts.contains { $0.measured != nil }
    var text = "name: discovered\n"
    text += "source: collbench topology \(isMeasured ? "probe" : "discover"); hosts \(hosts.count), ranks \(places.count).\n"
    for line in remarks { text += "# \(line)\n" }
    text += "hosts:\n"
    var index = 0
    while index < hosts.count {
      let entry = self.entry(hosts[index])
      var names = [hosts[index].name]
      while index + names.count < hosts.count, self.entry(hosts[index + names.count]) == entry {
        names.append(hosts[index + names.count].name)
      }
      text += "  - {names: [\(names.map { "\"\($0)\"" }.joined(separator: ", "))], \(entry)}\n"
      index += names.count
    }
    if hosts.count > 1 { text += "network: {type: switch}\n" }
    return text + placement
  }

  private func entry(_ host: Host) -> String {
    let report = host.report
    var text = ""
    if report.sockets > 1 { text += "sockets: \(report.sockets), " }
    let perSocket = report.nodes / report.sockets
    if perSocket > 1, report.nodes % report.sockets == 0 { text += "numa-per-socket: \(perSocket), " }
    text += "ranks: \(host.ranks.count)"
    guard hosts.count > 1 else { return text }
    let count = report.interfaces?.count ?? 1
    let megabits = report.interfaces.map(\.megabits).flatMap { $0 > 0 ? $0 : nil } ?? Self.commonMegabits
    var rate = Double(megabits)
    var latency = report.interfaces?.isRDMA == true ? Self.commonRDMALatency : Self.commonLatency
    if let measured = host.measured {
      // One rank's measurement may have taken all interfaces, or one: what it got is what a rank gets.
      rate = max(1, measured.bandwidth * 8000)
      latency = max(1, (measured.latency - Self.switchLatency) / 2)
    }
    let name = report.interfaces.map { ", name: \"\(Self.allowed($0.name))\"" } ?? ""
    return text
      + ", nics: {count: \(count)\(name), bandwidth: \(Self.figure(rate)) Mb/s, latency: \(Self.figure(latency)) ns}"
  }

  /// Three digits are more than a measurement is worth.
  private static func figure(_ value: Double) -> Int {
    var unit = 1.0
    while value / unit >= 1000 { unit *= 10 }
    return Int((value / unit).rounded() * unit)
  }

  private var remarks: [String] {
    guard hosts.count > 1, hosts.allSatisfy({ $0.measured == nil }) else { return [] }
    let silent = hosts.filter { ($0.report.interfaces?.megabits ?? 0) == 0 }.map(\.name)
    var lines = ["Latencies are common ones: nothing was measured. 'collbench topology probe' measures."]
    if !silent.isEmpty {
      lines.append(
        "The kernel of \(silent.joined(separator: ", ")) does not tell its interface's rate: 10 Gb/s stands in for it.")
    }
    return lines
  }

  /// The line that says where each rank is; empty where ranks are numbered host by host.
  private var placement: String {
    if places == places.sorted() { return "" }
    return "placement: [\(places.map { "\"\(hosts[$0].name)\"" }.joined(separator: ", "))]\n"
  }
}
