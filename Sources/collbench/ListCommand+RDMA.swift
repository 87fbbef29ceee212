import Tutti

// What `collbench list` says about RDMA: each device, port and GID, and why it is used or not.

extension ListCommand {
  /// The last part of the table.
  func rdmaText(_ facts: RDMAFacts) -> String {
    var text = "RDMA devices\n"
    if let obstacle = facts.obstacle { text += "  none is used: \(obstacle)\n" }
    for device in facts.devices {
      text += "  \(device.name): \(words(device.verdict, used: "used"))\n"
      for port in device.ports {
        let use = words(port.verdict, used: port.rail.map { "rail \($0)" } ?? "used")
        text += "    port \(port.number) (\(portText(port))): \(use)\n"
        for gid in port.gids { text += "      GID \(gid.index) \(gidText(gid)): \(words(gid.verdict, used: "used"))\n" }
      }
    }
    return text
  }

  private func words(_ verdict: RDMAFacts.Verdict, used: String) -> String {
    switch verdict {
    case .used: used
    case .unused: "not used"
    case .unusable(let reason): "not usable: \(reason)"
    }
  }

  /// `Ethernet, ACTIVE, 100 Gb/s`.
  private func portText(_ port: RDMAFacts.Port) -> String {
    let rate = port.gigabits > 0 ? rateText(port.gigabits) : "rate not told"
    return "\(port.linkLayer ?? "link layer not known"), \(port.state), \(rate)"
  }

  private func rateText(_ gigabits: Double) -> String {
    gigabits == gigabits.rounded() && gigabits < 1e6 ? "\(Int(gigabits)) Gb/s" : "\(gigabits) Gb/s"
  }

  /// `RoCE v2 fe80::1 on eth0`; the address by which peers connect where there is one, and the GID where it is another.
  private func gidText(_ gid: RDMAFacts.GID) -> String {
    let isAddress = gid.type != "InfiniBand"
    let address = gid.address.map { isAddress ? $0 : "\(gid.text) as \($0)" } ?? gid.text
    return "\(gid.type) \(address)" + (gid.interface.map { " on \($0)" } ?? "")
  }

  /// The member `rdma` of the JSON.
  func rdmaJSON(_ facts: RDMAFacts) -> JSONValue {
    .object([
      ("usable", .bool(facts.obstacle == nil)), ("reason", .optional(facts.obstacle)),
      ("devices", .array(facts.devices.map(json))),
    ])
  }

  private func json(_ device: RDMAFacts.Device) -> JSONValue {
    .object([("name", .string(device.name))] + members(device.verdict) + [("ports", .array(device.ports.map(json)))])
  }

  private func json(_ port: RDMAFacts.Port) -> JSONValue {
    .object(
      [
        ("number", .integer(port.number)), ("linkLayer", .optional(port.linkLayer)), ("state", .string(port.state)),
        ("physicalState", .string(port.physicalState)),
        ("gigabitsPerSecond", port.gigabits > 0 ? .number(port.gigabits) : .null), ("rail", .optional(port.rail)),
      ] + members(port.verdict) + [("gids", .array(port.gids.map(json)))])
  }

  private func json(_ gid: RDMAFacts.GID) -> JSONValue {
    .object(
      [
        ("index", .integer(gid.index)), ("type", .string(gid.type)), ("gid", .string(gid.text)),
        ("interface", .optional(gid.interface)), ("address", .optional(gid.address)),
      ] + members(gid.verdict))
  }

  /// `used`: by ranks started like this. `usable`: nothing speaks against it itself.
  private func members(_ verdict: RDMAFacts.Verdict) -> [(String, JSONValue)] {
    switch verdict {
    case .used: [("used", .bool(true)), ("usable", .bool(true)), ("reason", .null)]
    case .unused: [("used", .bool(false)), ("usable", .bool(true)), ("reason", .null)]
    case .unusable(let reason): [("used", .bool(false)), ("usable", .bool(false)), ("reason", .string(reason))]
    }
  }
}
