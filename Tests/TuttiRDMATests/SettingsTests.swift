import Testing
import TuttiRDMA
import TuttiSystem

/// The environment's variables: what they may be, and what is said when they are something else.
@Suite struct SettingsTests {
  @Test func everyVariableIsRead() throws {
    let settings = try RDMASettings.read([
      "TUTTI_RDMA_DEVICES": "mlx5_0,mlx5_1:2", "TUTTI_RDMA_GID_INDEX": "3", "TUTTI_RDMA_QUEUE_PAIRS": "4",
      "TUTTI_RDMA_TIMEOUT": "18", "TUTTI_RDMA_RETRY_COUNT": "0", "TUTTI_RDMA_SERVICE_LEVEL": "15",
      "TUTTI_RDMA_TRAFFIC_CLASS": "106", "TUTTI_RDMA_MTU": "1024", "TUTTI_RDMA_MESSAGE_BYTES": "1048576",
      "TUTTI_TIMEOUT": "x", "PATH": "/bin",
    ])
    var expected = RDMASettings()
    expected.devices = ["mlx5_0", "mlx5_1:2"]
    expected.gidIndex = 3
    expected.queuePairs = 4
    expected.timeout = 18
    expected.retryCount = 0
    expected.serviceLevel = 15
    expected.trafficClass = 106
    expected.mtu = 1024
    expected.messageBytesMax = 1 << 20
    #expect(settings == expected)
  }

  @Test func nothingSetIsTheDefaults() throws {
    #expect(try RDMASettings.read([:]) == RDMASettings())
    #expect(try RDMASettings.read(["TUTTI_RDMA_DEVICES": "", "TUTTI_RDMA_MTU": ""]) == RDMASettings())
  }

  @Test(arguments: [
    ("GID_INDEX", ["0", "255"], ["-1", "256", "+1", "0x1", "1.0", " 1", "999999999999999999999"]),
    ("QUEUE_PAIRS", ["1", "8"], ["0", "9", "two"]),
    ("TIMEOUT", ["1", "31"], ["0", "32"]),
    ("RETRY_COUNT", ["0", "7"], ["8", "-1"]),
    ("SERVICE_LEVEL", ["0", "15"], ["16"]),
    ("TRAFFIC_CLASS", ["0", "255"], ["256"]),
    ("MTU", ["256", "512", "1024", "2048", "4096"], ["255", "1500", "4097", "9000"]),
    ("MESSAGE_BYTES", ["4096", "2147483648"], ["4095", "2147483649", "1M"]),
  ])
  func numbersHaveRanges(_ name: String, good: [String], bad: [String]) throws {
    for value in good {
      #expect(throws: Never.self, "\(name)=\(value)") { try RDMASettings.read(["TUTTI_RDMA_\(name)": value]) }
    }
    for value in bad {
      let failure = try #require(refusal(["TUTTI_RDMA_\(name)": value]), "\(name)=\(value)")
      #expect(failure.message.hasPrefix("TUTTI_RDMA_\(name)=\"\(value)\" is not "))
      #expect(failure.advice.contains("Set it to ") && failure.advice.contains("or unset it "))
      #expect(failure.description.count < 375)
    }
  }

  @Test(arguments: [
    ("mlx5_0,", "has an empty name"), (",", "has an empty name"), (":1", "has an empty name"),
    ("mlx5_0, mlx5_1", "has ' mlx5_1', which is not the name of a device"), ("../x", "has '../x', which is not the name"),
    ("..", "has '..', which is not the name"), ("gerät", "which is not the name of a device"),
    ("mlx5_0:0", "ports are numbers from 1 to 255"), ("mlx5_0:256", "ports are numbers"), ("mlx5_0:", "ports are numbers"),
    ("mlx5_0:01", "ports are numbers"), ("mlx5_0:1:2", "which is not NAME:PORT"), ("a,a", "names a twice"),
    ("a:1,a:1", "names a:1 twice"), ("a,a:1", "names a with a port and without"),
    ("a:1,a", "names a with a port and without"),
    ("a,b,c,d,e", "names 5 ports, and a rank uses 4 at most"),
  ])
  func badDevicesAreRefused(_ value: String, _ why: String) throws {
    let failure = try #require(refusal(["TUTTI_RDMA_DEVICES": value]))
    #expect(failure.message.contains("TUTTI_RDMA_DEVICES=\"\(value)\" ") && failure.message.contains(why), "\(failure)")
  }

  @Test func whatATerminalWouldObeyIsNotShown() throws {
    let failure = try #require(refusal(["TUTTI_RDMA_MTU": "\u{1B}[2J" + String(repeating: "9", count: 5000)]))
    #expect(failure.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    #expect(failure.description.count < 375)
  }

  @Test func unknownVariablesAreErrors() throws {
    let slip = try #require(refusal(["TUTTI_RDMA_DEVICE": "mlx5_0"]))
    #expect(slip.message == "TUTTI_RDMA_DEVICE is set, and Tutti knows no such variable")
    #expect(slip.advice.hasPrefix("Did you mean TUTTI_RDMA_DEVICES? "))
    #expect(try #require(refusal(["TUTTI_RDMA_GIDINDEX": "1"])).advice.contains("mean TUTTI_RDMA_GID_INDEX?"))
    let other = try #require(refusal(["TUTTI_RDMA_COLOUR_OF_CABLE": "blue"]))
    #expect(!other.advice.contains("Did you mean") && other.advice.contains("TUTTI_RDMA_RETRY_COUNT"))
  }

  @Test func silenceFollowsTimeoutAndRetries() throws {
    #expect(abs(RDMASettings().silenceSeconds - 7 * 4.096e-6 * 262144) < 1e-9)
    let once = try RDMASettings.read(["TUTTI_RDMA_TIMEOUT": "1", "TUTTI_RDMA_RETRY_COUNT": "0"])
    #expect(abs(once.silenceSeconds - 8.192e-6) < 1e-12)
  }

  private func refusal(_ environment: [String: String]) -> FailureReport? {
    do {
      _ = try RDMASettings.read(environment)
      return nil
    } catch {
      #expect(error.code == .configuration)
      return error
    }
  }
}
