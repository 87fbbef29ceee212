import Testing
import TuttiTopology

/// Processors are told apart by what the kernel says of them. The texts are those of real processors, cut short.
@Suite struct ProcessorFamilyTests {
  private static func x86(_ vendor: String, _ family: Int, _ model: Int, _ name: String, _ stepping: Int) -> String {
    """
    processor\t: 0
    vendor_id\t: \(vendor)
    cpu family\t: \(family)
    model\t\t: \(model)
    model name\t: \(name)
    stepping\t: \(stepping)
    microcode\t: 0xffffffff
    cpu MHz\t\t: 2649.998
    cache size\t: 512 KB
    physical id\t: 0

    """
  }

  private static func arm(_ variant: String, _ part: String, _ bogomips: String = "50.00") -> String {
    """
    processor\t: 0
    BogoMIPS\t: \(bogomips)
    Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
    CPU implementer\t: 0x41
    CPU architecture: 8
    CPU variant\t: \(variant)
    CPU part\t: \(part)
    CPU revision\t: 1

    """
  }

  static let texts: [(String, ProcessorFamily)] = [
    (x86("AuthenticAMD", 23, 1, "AMD EPYC 7601 32-Core Processor", 2), .amdZen1),
    (x86("AuthenticAMD", 23, 49, "AMD EPYC 7742 64-Core Processor", 0), .amdZen1),
    (x86("HygonGenuine", 24, 0, "Hygon C86 7185 32-core Processor", 1), .amdZen1),
    (x86("AuthenticAMD", 25, 1, "AMD EPYC 7453 28-Core Processor", 1), .amdZen3),
    (x86("AuthenticAMD", 25, 33, "AMD Ryzen 9 5950X 16-Core Processor", 0), .amdZen3),
    (x86("AuthenticAMD", 25, 17, "AMD EPYC 9R14", 1), .amdZen4),
    (x86("AuthenticAMD", 25, 97, "AMD Ryzen 9 7950X 16-Core Processor", 2), .amdZen4),
    (x86("AuthenticAMD", 26, 2, "AMD EPYC 9275F 24-Core Processor", 1), .amdZen4),
    (x86("AuthenticAMD", 21, 2, "AMD Opteron(tm) Processor 6376", 0), .generic),
    (x86("GenuineIntel", 6, 63, "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", 2), .intelXeon),
    (x86("GenuineIntel", 6, 79, "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 1), .intelXeon),
    (x86("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", 7), .intelXeon),
    (x86("GenuineIntel", 6, 106, "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", 6), .intelXeon),
    (x86("GenuineIntel", 6, 143, "Intel(R) Xeon(R) Platinum 8488C", 8), .intelSapphireRapids),
    (x86("GenuineIntel", 6, 207, "INTEL(R) XEON(R) PLATINUM 8592+", 2), .intelSapphireRapids),
    (x86("GenuineIntel", 6, 158, "Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz", 10), .generic),
    (arm("0x3", "0xd0c"), .armNeoverseN1),
    (arm("0x1", "0xd40", "2100.00"), .armNeoverseV1),
    (arm("0x0", "0xd4f", "2000.00"), .armNeoverseV2),
    (arm("0x0", "0xd49"), .armNeoverseV2),
    (arm("0x3", "0xd08", "108.00"), .generic),
  ]

  @Test(arguments: texts) func families(_ text: String, _ family: ProcessorFamily) {
    #expect(ProcessorFamily(cpuinfo: text) == family, "\(text)")
  }

  @Test func theFirstProcessorCounts() {
    let mixed = Self.arm("0x3", "0xd0c") + "\n" + Self.arm("0x0", "0xd4f")
    #expect(ProcessorFamily(cpuinfo: mixed) == .armNeoverseN1)
    #expect(ProcessorFamily(cpuinfo: "\n\n" + mixed) == .armNeoverseN1)
  }

  @Test(arguments: [
    "", ":", "\t:\n", "vendor_id\t: AuthenticAMD\n", "vendor_id\t: AuthenticAMD\ncpu family\t: x\nmodel\t\t: 1\n",
    "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 99999999999999999999\n",
    "CPU implementer\t: 0x41\nCPU part\t: 0x\n",
    "CPU implementer\t: 0x51\nCPU part\t: 0xd0c\n", "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\n",
  ]) func whatIsNotKnownIsGeneric(_ text: String) {
    #expect(ProcessorFamily(cpuinfo: text) == .generic)
  }

  @Test func allHaveNames() {
    #expect(Set(ProcessorFamily.allCases.map(\.title)).count == ProcessorFamily.allCases.count)
  }
}
