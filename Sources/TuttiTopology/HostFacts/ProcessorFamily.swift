/// A family of processors whose cores and caches are alike enough for one tuning profile.
package enum ProcessorFamily: String, Sendable, CaseIterable {
  case amdZen1 = "amd-zen1"
  case amdZen3 = "amd-zen3"
  case amdZen4 = "amd-zen4"
  case intelXeon = "intel-xeon"
  case intelSapphireRapids = "intel-sapphire-rapids"
  case armNeoverseN1 = "arm-neoverse-n1"
  case armNeoverseV1 = "arm-neoverse-v1"
  case armNeoverseV2 = "arm-neoverse-v2"
  /// Any other one.
  case generic

  /// What people call it.
  package var title: String {
    switch self {
    case .amdZen1: "AMD Zen 1 or 2"
    case .amdZen3: "AMD Zen 3"
    case .amdZen4: "AMD Zen 4 or 5"
    case .intelXeon: "Intel Xeon before Sapphire Rapids"
    case .intelSapphireRapids: "Intel Sapphire Rapids or Emerald Rapids"
    case .armNeoverseN1: "Arm Neoverse N1"
    case .armNeoverseV1: "Arm Neoverse V1"
    case .armNeoverseV2: "Arm Neoverse V2 or N2"
    case .generic: "another processor"
    }
  }

  /// Takes the family of the first processor that a text in the form of `/proc/cpuinfo` describes.
  ///
  /// A virtual machine may show another processor than there is; what it shows is what counts.
  package init(cpuinfo: String) {
    var fields: [Substring: Substring] = [:]
    for line in cpuinfo.split(separator: "\n", omittingEmptySubsequences: false) {
      guard let colon = line.firstIndex(of: ":") else {
        // A processor ends with an empty line. Before the first one, some kernels write lines about the whole machine.
        if Self.isKnown(fields) { break }
        continue
      }
      // Keys are filled up with tabs.
      let key = line[..<colon].prefix { $0 != "\t" }
      fields[key] = line[line.index(after: colon)...].drop { $0 == " " }
    }
    func number(_ key: Substring) -> Int? { fields[key].flatMap(Self.number) }
    switch fields["vendor_id"] {
    case "AuthenticAMD": self = Self.amd(family: number("cpu family"), model: number("model"))
    // Dhyana has the cores of Zen 1.
    case "HygonGenuine": self = .amdZen1
    case "GenuineIntel": self = Self.intel(family: number("cpu family"), model: number("model"))
    default: self = Self.arm(implementer: number("CPU implementer"), part: number("CPU part"))
    }
  }

  private static func isKnown(_ fields: [Substring: Substring]) -> Bool {
    fields["vendor_id"] != nil || fields["CPU implementer"] != nil
  }

  /// `25`, or `0xd0c` as Arm's are.
  private static func number(_ text: Substring) -> Int? {
    text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
  }

  /// By the numbers of Linux, `arch/x86/kernel/cpu/amd.c` (`bsp_init_amd`).
  private static func amd(family: Int?, model: Int?) -> ProcessorFamily {
    guard let model else { return .generic }
    switch (family, model) {
    case (0x17, _): return .amdZen1
    case (0x19, 0x00...0x0f), (0x19, 0x20...0x2f), (0x19, 0x40...0x5f): return .amdZen3
    case (0x19, 0x10...0x1f), (0x19, 0x60...0xaf): return .amdZen4
    case (0x1a, 0x00...0x4f), (0x1a, 0x60...0x7f): return .amdZen4
    default: return .generic
    }
  }

  /// By the numbers of Linux, `arch/x86/include/asm/intel-family.h`.
  private static func intel(family: Int?, model: Int?) -> ProcessorFamily {
    guard family == 6 else { return .generic }
    switch model {
    // Sapphire Rapids and Emerald Rapids.
    case 0x8f, 0xcf: return .intelSapphireRapids
    // Ice Lake, Skylake (with Cascade Lake and Cooper Lake), Broadwell, Haswell: the servers of each.
    case 0x6a, 0x6c, 0x55, 0x4f, 0x56, 0x3f: return .intelXeon
    default: return .generic
    }
  }

  /// By the numbers of Linux, `arch/arm64/include/asm/cputype.h`.
  private static func arm(implementer: Int?, part: Int?) -> ProcessorFamily {
    guard implementer == 0x41 else { return .generic }
    switch part {
    case 0xd0c: return .armNeoverseN1
    case 0xd40: return .armNeoverseV1
    case 0xd4f, 0xd49: return .armNeoverseV2
    default: return .generic
    }
  }
}
