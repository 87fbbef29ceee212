import Glibc
import Testing
import TuttiRDMA
import TuttiSystem
import TuttiTopology

/// Tests what a survey makes of the kernel's files: which ports and GIDs are used, and why others are not.
@Suite struct SurveyTests {
  @Test func roceVersion2AndIPv4ArePreferred() throws {
    let host = try MadeUpHost()
    try host.roce("mlx5_0", "eth0", last: 7)
    let survey = host.survey()
    #expect(survey.obstacle == nil && survey.settingsFailure == nil)
    #expect(
      survey.rails == [
        Rail(
          device: "mlx5_0", port: 1, linkLayer: .ethernet, address: [10, 0, 0, 7], prefixLength: 24, megabits: 100_000)
      ])
    let port = try #require(survey.devices.first?.ports.first)
    #expect(port.chosenGID == 3 && port.lid == 31 && port.gigabits == 100 && port.state == "ACTIVE")
    #expect(port.gids.map(\.type) == [.roceV1, .roceV2, .roceV1, .roceV2])
    #expect(port.gids.map(\.interface) == ["eth0", "eth0", "eth0", "eth0"])
    #expect(port.gids[3].text == "::ffff:10.0.0.7")
    #expect(
      port.gids.map(\.obstacle) == [
        "link-local: other hosts cannot be told its scope", "link-local: other hosts cannot be told its scope",
        "RoCE v1: v2 is preferred", nil,
      ])
    #expect(try survey.requireRails() == survey.rails)
  }

  @Test func aPortWithVersion1AloneIsUsed() throws {
    let host = try MadeUpHost()
    try host.device("mlx4_0")
    try host.port("mlx4_0", gids: [(1, four, "IB/RoCE v1", "eth0")])
    host.address("eth0", [10, 0, 0, 7], 24)
    let survey = host.survey()
    #expect(survey.rails.count == 1 && survey.devices[0].ports[0].chosenGID == 1)
  }

  @Test func globalIPv6IsUsedWhereThereIsNoIPv4() throws {
    let host = try MadeUpHost()
    let global = "2001:0db8:0000:0000:0000:0000:0000:0001"
    try host.device("mlx5_0")
    try host.port("mlx5_0", gids: [(0, MadeUpHost.linkLocal, "RoCE v2", "eth0"), (5, global, "RoCE v2", "eth0")])
    let bytes: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
    host.address("eth0", bytes, 64)
    #expect(host.survey().rails.first?.address == bytes)
    #expect(host.survey().rails.first?.prefixLength == 64)
    try host.port("mlx5_0", gids: [(5, global, "RoCE v2", "eth0"), (6, four, "RoCE v2", "eth0")])
    host.address("eth0", [10, 0, 0, 7], 24)
    #expect(host.survey().rails.first?.address == [10, 0, 0, 7])
  }

  @Test func infinibandIsReachedByTheAddressOfItsInterface() throws {
    let host = try infiniband()
    var survey = host.survey()
    #expect(survey.rails.isEmpty)
    #expect(survey.obstacle?.contains("GID 0: no IP address: librdmacm connects by address") == true, "\(survey)")
    host.address("ib0", [169, 254, 1, 1], 16)
    host.address("ib1", [10, 2, 0, 1], 16)
    #expect(host.survey().rails.isEmpty, "link-local, and the other port's")
    host.address("ib0", [10, 1, 0, 1], 16)
    survey = host.survey()
    #expect(
      survey.rails == [
        Rail(
          device: "mlx5_0", port: 1, linkLayer: .infiniband, address: [10, 1, 0, 1], prefixLength: 16, megabits: 100_000)
      ])
    let gid = try #require(survey.devices.first?.ports.first?.gids.first)
    #expect(gid.type == .infiniband && gid.interface == "ib0" && gid.address?.prefixLength == 16)
    #expect(survey.devices[0].ports[0].gids.count == 1, "an alias without a GUID is nobody's")
  }

  @Test func infinibandWithoutSubnetManagerSaysSo() throws {
    let host = try infiniband(state: "2: INIT")
    host.address("ib0", [10, 1, 0, 1], 16)
    #expect(
      host.survey().obstacle
        == "no RDMA device can be used: mlx5_0 port 1: port is INIT (physical state LinkUp): no subnet manager has set it up"
    )
  }

  @Test func portsThatAreDownAreNotUsed() throws {
    let host = try MadeUpHost()
    try host.roce("mlx5_0", "eth0", last: 7)
    let gids = [(1, four, "RoCE v2", "eth1")]
    try host.port("mlx5_0", 2, state: "1: DOWN", physical: "3: Disabled", gids: gids)
    let survey = host.survey()
    #expect(survey.rails.map(\.port) == [1])
    #expect(survey.devices[0].ports[1].obstacle == "port is DOWN (physical state Disabled)")
    try host.port("mlx5_0", 1, state: "1: DOWN", physical: "2: Polling", gids: gids)
    #expect(
      host.survey().obstacle == "no RDMA device can be used: mlx5_0 port 1: port is DOWN (physical state Polling); "
        + "mlx5_0 port 2: port is DOWN (physical state Disabled)")
  }

  @Test func twoPortsAreTwoRails() throws {
    let host = try MadeUpHost()
    try host.roce("mlx4_0", "eth0", last: 7)
    try host.port("mlx4_0", 2, gids: [(0, other, "RoCE v2", "eth1")])
    host.address("eth1", [10, 0, 0, 8], 24)
    #expect(host.survey().rails.map(\.description) == ["mlx4_0 port 1 (10.0.0.7)", "mlx4_0 port 2 (10.0.0.8)"])
    #expect(host.survey(devices: "mlx4_0:2").rails.map(\.port) == [2])
    #expect(host.survey(devices: "mlx4_0:2").devices[0].ports[0].obstacle == "not in TUTTI_RDMA_DEVICES")
    #expect(host.survey(devices: "mlx4_0:2", "mlx4_0:1").rails.map(\.port) == [2, 1])
  }

  @Test func fasterOnesComeFirstAndFourAtMost() throws {
    let host = try MadeUpHost()
    for (index, name) in ["mlx5_10", "mlx5_2", "mlx5_1", "mlx5_0", "rxe0"].enumerated() {
      let rate = ["100 Gb/sec", "100 Gb/sec (4X EDR)", "400 Gb/sec (4X NDR)", "25 Gb/sec (1X EDR)", "2.5 Gb/sec (1X SDR)"]
      try host.roce(name, "eth\(index)", last: UInt8(index + 1), rate: rate[index])
    }
    let survey = host.survey()
    #expect(survey.devices.map(\.name) == ["mlx5_0", "mlx5_1", "mlx5_2", "mlx5_10", "rxe0"])
    #expect(survey.rails.map(\.device) == ["mlx5_1", "mlx5_2", "mlx5_10", "mlx5_0"])
    #expect(survey.devices[4].ports[0].obstacle == "a rank uses 4 ports at most: name it in TUTTI_RDMA_DEVICES")
    #expect(host.survey(devices: "rxe0", "mlx5_1").rails.map(\.device) == ["rxe0", "mlx5_1"])
    #expect(host.survey(devices: "rxe0").devices[0].obstacle == "not in TUTTI_RDMA_DEVICES")
  }

  @Test func addressesMustBeOnAnInterfaceThatIsUp() throws {
    let host = try MadeUpHost()
    try host.device("rxe0")
    try host.port("rxe0", gids: [(1, four, "RoCE v2", "eth0")])
    #expect(host.survey().obstacle?.hasSuffix("GID 1: no interface of this network namespace has this address") == true)
    host.address("eth0", [10, 0, 0, 7], 24, isUp: false)
    #expect(host.survey().obstacle?.hasSuffix("rxe0 port 1: GID 1: interface eth0 is down") == true)
    try host.port("rxe0", gids: [(1, "0000:0000:0000:0000:0000:ffff:7f00:0001", "RoCE v2", "lo")])
    #expect(host.survey().obstacle?.hasSuffix("GID 1: loopback: other hosts cannot reach it") == true)
    try host.port("rxe0", gids: [(0, MadeUpHost.linkLocal, "RoCE v2", "eth0")], tableLength: 2)
    #expect(
      host.survey().obstacle?.hasSuffix("no IP address on eth0 but link-local ones: librdmacm connects by address") == true)
  }

  @Test func largeTablesAreReadUpToWhatVerbsCanName() throws {
    let host = try MadeUpHost()
    try host.device("rxe0")
    try host.port("rxe0", gids: [(255, four, "RoCE v2", "eth0"), (256, other, "RoCE v2", "eth0")], tableLength: 5000)
    host.address("eth0", [10, 0, 0, 7], 24)
    host.address("eth0", [10, 0, 0, 8], 24)
    let survey = host.survey()
    #expect(survey.devices[0].ports[0].gids.map(\.index) == [255])
    #expect(survey.rails.count == 1)
  }

  // MARK: What is missing

  @Test func noDevice() throws {
    let survey = try MadeUpHost().survey()
    #expect(survey.rails.isEmpty && survey.devices.isEmpty && survey.settingsFailure == nil)
    #expect(survey.obstacle == "this host has no RDMA device")
    let failure = #expect(throws: FailureReport.self) { try survey.requireRails(rank: 2) }
    #expect(failure?.code == .transport && failure?.rank == 2)
  }

  @Test func noPermission() throws {
    let host = try MadeUpHost()
    try host.roce("rxe0", "eth0", last: 7)
    host.denied = ["dev/infiniband/uverbs0": EACCES]
    var survey = host.survey()
    #expect(survey.rails.isEmpty && survey.devices[0].ports[0].obstacle == nil)
    #expect(survey.devices[0].obstacle?.hasPrefix("no permission to open ") == true)
    #expect(survey.obstacle?.hasSuffix("dev/infiniband/uverbs0 (Permission denied)") == true)
    host.denied = ["dev/infiniband/rdma_cm": EPERM]
    survey = host.survey()
    #expect(survey.rails.isEmpty && survey.devices[0].obstacle == nil)
    #expect(survey.obstacle?.hasSuffix("dev/infiniband/rdma_cm (Operation not permitted)") == true)
  }

  @Test func noNodesInAContainer() throws {
    let host = try MadeUpHost(connectionManager: false)
    try host.roce("rxe0", "eth0", last: 7)
    #expect(host.survey().obstacle?.contains("is the kernel module rdma_ucm loaded") == true)
    try host.write("dev/infiniband/rdma_cm", "")
    try host.remove("dev/infiniband/uverbs0")
    #expect(host.survey().obstacle?.contains("--device=/dev/infiniband") == true)
    try host.remove("sys/class/infiniband_verbs")
    #expect(host.survey().obstacle?.contains("is the kernel module ib_uverbs loaded") == true)
  }

  @Test func noLibrary() throws {
    let host = try MadeUpHost()
    try host.roce("rxe0", "eth0", last: 7)
    host.obstacle = "Tutti was built without RDMA (package trait RDMA)"
    let survey = host.survey()
    #expect(survey.obstacle == host.obstacle && survey.rails.isEmpty && survey.devices.count == 1)
  }

  @Test func otherKindsOfDevices() throws {
    let host = try MadeUpHost()
    try host.roce("siw0", "eth0", last: 7)
    try host.write("sys/class/infiniband/siw0/node_type", "4: RNIC\n")
    #expect(host.survey().obstacle == "no RDMA device can be used: siw0: iWARP: it has no write with immediate")
    try host.write("sys/class/infiniband/siw0/node_type", "7: unspecified\n")
    #expect(host.survey().devices[0].obstacle == "its node type is unspecified: it has no reliable connections")
  }

  @Test func malformedFilesLeaveDevicesUnused() throws {
    let host = try MadeUpHost()
    let bad = ["", "\n", "\0\u{FF}", "4", ":", "ACTIVE", "4: ", String(repeating: "9:", count: 3000), "0000:0000"]
    try host.roce("mlx5_0", "eth0", last: 7)
    let folder = "sys/class/infiniband/mlx5_0"
    let files = ["node_type"] + ["state", "link_layer", "gids/3"].map { "ports/1/\($0)" }
    for file in files {
      let good = try String(contentsOf: host.root.appending(path: "\(folder)/\(file)"), encoding: .utf8)
      for text in bad {
        try host.write("\(folder)/\(file)", text)
        let survey = host.survey()
        // Without GID 3 there still is version 1 of the same.
        #expect(survey.rails.isEmpty == (file != "ports/1/gids/3"), "\(file): \(text.prefix(20))")
        #expect(survey.obstacle.map { $0.count < 375 } ?? true)
      }
      try host.write("\(folder)/\(file)", good)
    }
    for file in ["rate", "lid", "phys_state", "gid_attrs/ndevs/3"] {
      for text in bad + ["-1 Gb/sec", "nan Gb/sec", "inf"] {
        try host.write("\(folder)/ports/1/\(file)", text)
        #expect(host.survey().rails.count == 1, "\(file): \(text.prefix(20))")
      }
    }
    try host.write("\(folder)/ports/x/state", "4: ACTIVE")
    try host.write("\(folder)/ports/0/state", "4: ACTIVE")
    try host.write("\(folder)/ports/256/state", "4: ACTIVE")
    #expect(host.survey().devices[0].ports.map(\.number) == [1])
    try host.remove("\(folder)/ports")
    #expect(host.survey().obstacle == "no RDMA device can be used: mlx5_0: has no ports")
  }

  // MARK: What the environment asks for

  @Test func devicesThatAreNotThereAreErrors() throws {
    let host = try MadeUpHost()
    #expect(host.survey(devices: "mlx5_0").settingsFailure?.message.hasSuffix("which this host does not have") == true)
    try host.roce("mlx5_0", "eth0", last: 7)
    try host.roce("mlx5_1", "eth1", last: 8)
    let survey = host.survey(devices: "mlx5_0", "mlx5_9")
    let failure = try #require(survey.settingsFailure)
    #expect(failure.code == .configuration && survey.rails.isEmpty && survey.obstacle == failure.message)
    #expect(failure.message == "TUTTI_RDMA_DEVICES names mlx5_9, which this host does not have")
    #expect(failure.advice.hasPrefix("There are mlx5_0, mlx5_1;"))
    #expect(
      host.survey(devices: "mlx5_1:2").obstacle == "TUTTI_RDMA_DEVICES names mlx5_1:2, which that device does not have")
    #expect(#expect(throws: FailureReport.self) { try survey.requireRails() } === failure)
  }

  @Test func devicesThatCannotBeUsedAreErrors() throws {
    let host = try MadeUpHost()
    try host.roce("mlx5_0", "eth0", last: 7)
    try host.port("mlx5_0", 2, state: "1: DOWN", physical: "3: Disabled", gids: [])
    let why = "which cannot be used: port is DOWN (physical state Disabled)"
    #expect(host.survey(devices: "mlx5_0:2").obstacle == "TUTTI_RDMA_DEVICES names mlx5_0:2, \(why)")
    #expect(host.survey(devices: "mlx5_0").rails.count == 1, "all its ports that can be used")
    host.denied = ["dev/infiniband/uverbs0": EACCES]
    #expect(host.survey(devices: "mlx5_0").settingsFailure?.message.contains("no permission to open") == true)
    host.denied = [:]
    host.obstacle = "there is no library"
    #expect(host.survey(devices: "mlx5_0").settingsFailure?.message.hasSuffix("cannot be used: there is no library") == true)
  }

  @Test func theGIDCanBeChosen() throws {
    let host = try MadeUpHost()
    try host.roce("mlx5_0", "eth0", last: 7)
    let survey = host.survey(gidIndex: 2)
    #expect(survey.rails.count == 1 && survey.devices[0].ports[0].chosenGID == 2)
    #expect(survey.devices[0].ports[0].gids[3].obstacle == "TUTTI_RDMA_GID_INDEX is 2")
    for (index, why) in [(9, "is empty"), (1, "link-local: other hosts cannot be told its scope")] {
      let survey = host.survey(gidIndex: index)
      #expect(survey.rails.isEmpty && survey.settingsFailure?.message.hasSuffix(why) == true, "\(survey.obstacle ?? "")")
      #expect(survey.settingsFailure?.message.hasPrefix("TUTTI_RDMA_GID_INDEX=\(index) cannot be met") == true)
    }
  }

  @Test func thisHostIsReadWithoutFailing() {
    let survey = RDMASurvey.current(RDMASettings())
    #expect(survey.rails.isEmpty == (survey.obstacle != nil))
  }

  private let four = "0000:0000:0000:0000:0000:ffff:0a00:0007"
  private let other = "0000:0000:0000:0000:0000:ffff:0a00:0008"

  private func infiniband(state: String = "4: ACTIVE") throws -> MadeUpHost {
    let host = try MadeUpHost()
    try host.device("mlx5_0")
    try host.port(
      "mlx5_0", state: state, layer: "InfiniBand",
      gids: [
        (0, "fe80:0000:0000:0000:0002:c903:0012:3456", "IB/RoCE v1", ""),
        (1, "fe80:0000:0000:0000:0000:0000:0000:0000", "IB/RoCE v1", ""),
      ])
    for (name, last) in [("ib0", "56"), ("ib1", "57")] {
      let folder = "sys/class/infiniband/mlx5_0/device/net/\(name)"
      try host.write("\(folder)/type", "32\n")
      try host.write("\(folder)/address", "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:12:34:\(last)\n")
    }
    return host
  }
}
