import Testing

/// What `collbench list` says about RDMA, on hosts with devices and without.
@Suite struct ListRDMATests {
  @Test func devicesAreListedOrTheirLackIsExplained() async throws {
    let rdma = try #require(try parse(try await Tool.run("list --format json").output)["rdma"] as? Object)
    let devices = try #require(rdma["devices"] as? [Object])
    #expect((rdma["usable"] as? Bool == true) == (rdma["reason"] as? String == nil))
    #expect((rdma["usable"] as? Bool == true) == devices.contains { $0["used"] as? Bool == true })
    let table = try await Tool.run("list").output
    #expect(table.contains("\nRDMA devices\n"))
    for device in devices { #expect(table.contains("\n  \(device["name"] as? String ?? "?"): ")) }
    if let reason = rdma["reason"] as? String { #expect(table.contains("  none is used: \(reason)\n")) }
  }

  @Test func aWrongSettingIsSaid() async throws {
    let outcome = try await Tool.run("list", environment: ["TUTTI_RDMA_DEVICE": "mlx5_0"])
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("TUTTI_RDMA_DEVICE is set") && outcome.output.contains("mean TUTTI_RDMA_DEVICES?"))
  }
}
