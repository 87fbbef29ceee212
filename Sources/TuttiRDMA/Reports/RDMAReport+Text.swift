import TuttiTransport

// Writes what `collbench list` says about RDMA: each device, port and GID, and why it is used or not.

extension RDMAReport {
  var report: TransportReport { TransportReport(obstacle: shortObstacle, text: text, details: details) }

  private var text: String {
    var text = "RDMA devices\n"
    if let obstacle { text += "  none is used: \(obstacle)\n" }
    for device in devices {
      text += "  \(device.name): \(words(device.verdict, used: "used"))\n"
      for port in device.ports {
        let use = words(port.verdict, used: port.rail.map { "rail \($0)" } ?? "used")
        text += "    port \(port.number) (\(portText(port))): \(use)\n"
        for gid in port.gids { text += "      GID \(gid.index) \(gidText(gid)): \(words(gid.verdict, used: "used"))\n" }
      }
    }
    return text
  }

  private func words(_ verdict: RDMAReport.Verdict, used: String) -> String {
    switch verdict {
    case .used: used
    case .unused: "not used"
    case .unusable(let reason): "not usable: \(reason)"
    }
  }

  /// `Ethernet, ACTIVE, 100 Gb/s`.
  private func portText(_ port: RDMAReport.Port) -> String {
    let rate = port.gigabits > 0 ? rateText(port.gigabits) : "rate not told"
    return "\(port.linkLayer ?? "link layer not known"), \(port.state), \(rate)"
  }

  private func rateText(_ gigabits: Double) -> String {
    gigabits == gigabits.rounded() && gigabits < 1e6 ? "\(Int(gigabits)) Gb/s" : "\(gigabits) Gb/s"
  }

  /// `RoCE v2 fe80::1 on eth0`; the address by which peers connect where there is one, and the GID where it is another.
  private func gidText(_ gid: RDMAReport.GID) -> String {
    let isAddress = gid.type != "InfiniBand"
    let address = gid.address.map { isAddress ? $0 : "\(gid.text) as \($0)" } ?? gid.text
    return "\(gid.type) \(address)" + (gid.interface.map { " on \($0)" } ?? "")
  }

  /// The member `rdma` of the JSON.
  private var details: ReportValue {
    .members([
      ("usable", .flag(obstacle == nil)), ("reason", .optional(obstacle)), ("devices", .list(devices.map(json))),
    ])
  }

  private func json(_ device: RDMAReport.Device) -> ReportValue {
    .members([("name", .text(device.name))] + members(device.verdict) + [("ports", .list(device.ports.map(json)))])
  }

  private func json(_ port: RDMAReport.Port) -> ReportValue {
    .members(
      [
        ("number", .integer(port.number)), ("linkLayer", .optional(port.linkLayer)), ("state", .text(port.state)),
        ("physicalState", .text(port.physicalState)),
        ("gigabitsPerSecond", port.gigabits > 0 ? .number(port.gigabits) : .null), ("rail", .optional(port.rail)),
      ] + members(port.verdict) + [("gids", .list(port.gids.map(json)))])
  }

  private func json(_ gid: RDMAReport.GID) -> ReportValue {
    .members(
      [
        ("index", .integer(gid.index)), ("type", .text(gid.type)), ("gid", .text(gid.text)),
        ("interface", .optional(gid.interface)), ("address", .optional(gid.address)),
      ] + members(gid.verdict))
  }

  /// In the result, `used` means used by ranks started like this one, and `usable` that nothing is wrong with the entry
  /// itself.
  private func members(_ verdict: RDMAReport.Verdict) -> [(String, ReportValue)] {
    switch verdict {
    case .used: [("used", .flag(true)), ("usable", .flag(true)), ("reason", .null)]
    case .unused: [("used", .flag(false)), ("usable", .flag(true)), ("reason", .null)]
    case .unusable(let reason): [("used", .flag(false)), ("usable", .flag(false)), ("reason", .text(reason))]
    }
  }
}
