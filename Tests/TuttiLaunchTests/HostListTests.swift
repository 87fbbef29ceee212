import Foundation
import Patience
import Testing
import TuttiSystem

@testable import TuttiLaunch

/// Lists of hosts and hostfiles: what they mean, and what is said about those that mean nothing.
@Suite final class HostListTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "hosts-\(UUID().uuidString)").path

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func words(_ list: HostList) -> [String] { list.hosts.map { "\($0.destination) \($0.slots)" } }

  private func file(_ bytes: Data) throws -> String {
    let path = "\(folder)/hosts"
    try bytes.write(to: URL(filePath: path))
    return path
  }

  /// What reading a hostfile says, from the line on.
  private func complaint(_ text: String) throws -> String {
    let path = try file(Data(text.utf8))
    do throws(LaunchError) { return "none: \(words(try HostList(file: path)))" } catch {
      #expect(error.code == .hosts)
      return error.description.replacing("\(path):", with: "").replacing(path, with: "FILE")
    }
  }

  private func listComplaint(_ text: String) -> String {
    do throws(LaunchError) { return "none: \(words(try HostList(text, source: "--hosts")))" } catch {
      return error.description
    }
  }

  static let lists: [(text: String, hosts: [String])] = [
    ("a", ["a 1"]), ("a:4,b:4", ["a 4", "b 4"]), ("user@host:2", ["user@host 2"]), ("[fd00::1]:2", ["fd00::1 2"]),
    ("me@[fe80::1%eth0],10.0.0.1:512", ["me@fe80::1%eth0 1", "10.0.0.1 512"]), (" a:2, b ", ["a 2", "b 1"]),
    ("node-1.cluster_a.example:3", ["node-1.cluster_a.example 3"]),
  ]

  @Test(arguments: lists) func listsMeanHosts(_ list: (text: String, hosts: [String])) throws {
    #expect(words(try HostList(list.text)) == list.hosts)
  }

  static let badLists: [(text: String, says: String)] = [
    ("", "--hosts, column 1: it is empty. Name hosts: a:4,b:4"),
    ("a,,b", "--hosts, column 3: a comma with no host beside it"),
    ("a:4,", "--hosts, column 5: a comma with no host beside it"),
    ("a:0", "--hosts, column 3: 0 ranks: leave the host out, or give it 1 to 512"),
    ("a:4,b:513", "--hosts, column 7: '513' is not a number of ranks from 1 to 512"),
    ("a:-1", "--hosts, column 3: '-1' is not a number of ranks"), ("a:+1", "column 3: '+1' is not a number"),
    ("a:", "--hosts, column 3: '' is not a number of ranks"), (":4", "--hosts, column 1: a host without a name"),
    ("a:99999999999999999999", "is not a number of ranks"), ("@a", "--hosts, column 1: a user without a name"),
    ("me@", "--hosts, column 4: a host without a name"),
    ("a:2,b:2,a:2", "--hosts, column 9: the host 'a' is named twice, first in column 1"),
    ("a,A", "--hosts, column 3: the host 'A' is named twice"), ("a,me@a", "the host 'a' is named twice"),
    ("fd00::1:2", "--hosts, column 1: an IPv6 address is written in brackets: [fd00::1:2]:4"),
    ("[fd00::1", "--hosts, column 1: '[' without a ']'"), ("[a]:2", "--hosts, column 2: 'a' is not an IPv6 address"),
    ("[fd00::1]2", "--hosts, column 10: '2' after the address"),
    ("a b", "--hosts, column 2: ' ' cannot be in the name of a host"),
    ("-oProxyCommand=x", "--hosts, column 1: a host cannot begin with '-'"), ("-l@a", "a user cannot begin with '-'"),
    ("a;b", "--hosts, column 2: ';' cannot be in the name"), ("a\u{1B}[2J", "'\\u{1b}' cannot be in the name"),
    (String(repeating: "a", count: 254), "a host's name of 254 bytes: at most 253"),
  ]

  @Test(arguments: badLists) func whatIsWrongWithAListIsTold(_ list: (text: String, says: String)) {
    #expect(listComplaint(list.text).contains(list.says), "\(list.text): \(listComplaint(list.text))")
  }

  @Test func hostfilesMeanHosts() throws {
    let text = """
      # the first rack
      node0 slots=4
      \tnode1:2   # as MPICH has it
      me@node2 slots=3 max_slots=8\r

      [fd00::1]
      [fd00::2]:5
      [fd00::3] slots=6 max-slots=6
      last
      """
    let list = try HostList(file: file(Data(text.utf8)))
    #expect(words(list) == ["node0 4", "node1 2", "me@node2 3", "fd00::1 1", "fd00::2 5", "fd00::3 6", "last 1"])
    #expect(list.rankCount == 22)
  }

  static let badFiles: [(text: String, says: String)] = [
    ("", "FILE names no host"), ("\n# none\n\n", "FILE names no host"),
    ("a slot=2", "1:3: unknown key 'slot'. Did you mean 'slots'? Known: slots, max_slots"),
    ("a\nb cpus=2", "2:3: unknown key 'cpus'"), ("a\n\nb slots=0", "3:9: 0 ranks"),
    ("a slots=x", "1:9: 'x' is not a number of ranks"), ("a slots=", "1:9: '' is not a number"),
    ("a slots 4", "1:3: 'slots' without a value. Write slots=4, without spaces"),
    ("a b", "1:3: 'b' after the host: a line has one host, and slots=N"),
    ("a slots=2 slots=2", "1:11: 'slots' is given twice"), ("a:2 slots=3", "1:5: slots=3 contradicts 'a:2'"),
    ("a slots=4 max_slots=2", "1:1: 4 ranks, and max_slots=2 allows fewer"),
    ("a\nb\na", "3:1: the host 'a' is named twice, first in line 1"), ("fd00::1 slots=2", "1:1: an IPv6 address is written"),
    ("a:2,b:2", "1:3: '2,b:2' is not a number"), ("a\n\u{1}b", "2:1: a byte 0x1: this is not a file of text"),
    ("a\nb\0c", "2:2: a byte 0x0"), ("ä slots=2", "1:1: 'ä' cannot be in the name of a host"),
  ]

  @Test(arguments: badFiles) func whatIsWrongWithAHostfileIsTold(_ file: (text: String, says: String)) throws {
    let complaint = try complaint(file.text)
    #expect(complaint.hasPrefix(file.says) || complaint.contains(file.says), "\(file.text): \(complaint)")
  }

  @Test func whatIsNoHostfileIsToldAtOnce() async throws {
    func says(_ path: String) -> String {
      do throws(LaunchError) { return "none: \(words(try HostList(file: path)))" } catch { return error.description }
    }
    #expect(says(folder) == "the hostfile \(folder) is a folder. Name a file with a host on each line")
    #expect(says("\(folder)/none") == "the hostfile \(folder)/none cannot be read: No such file or directory")
    #expect(says("/dev/zero").contains("/dev/zero is larger than 1 MiB"))
    let large = try file(Data(repeating: UInt8(ascii: "#"), count: 100 << 20))
    #expect(says(large) == "the hostfile \(large) is larger than 1 MiB. It should have a line for each host")
    let junk = try file(Data((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }))
    #expect(says(junk).contains("this is not a file of text") || says(junk).contains("not text in UTF-8"), "\(says(junk))")
    #expect(says(try file(Data([0x61, 0x0A, 0xFF, 0xFE]))).contains(":2:1: this line is not text in UTF-8"))
    // Nobody writes: it must not wait for somebody.
    let fifo = "\(folder)/fifo"
    #expect(mkfifo(fifo, 0o600) == 0)
    let start = ContinuousClock.now
    let said = says(fifo)
    #expect(said.contains("names no host") || said.contains("has said nothing for 10 s"))
    #expect(start.duration(to: .now) < .seconds(25 * Patience.factor))
  }

  /// Every random text is read or refused, in a sentence of one line.
  @Test func randomTextsAreReadOrRefused() throws {
    let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0..<1 << 32)
    var generator = SeededGenerator(seed: seed)
    let pieces = [
      "a", "b1", "@", ":", "4", "0", ",", "[", "]", "fd00::1", "%e", " ", "\t", "slots=", "max_slots=", "#", "\n", "-",
    ]
    for _ in 0..<1000 {
      let text = (0..<Int.random(in: 0...9, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }
        .joined()
      let (list, inFile) = (listComplaint(text), try complaint(text))
      #expect(!list.contains("\n") && !inFile.contains("\n"), "seed \(seed): \(text)")
      for host in (try? HostList(text))?.hosts ?? [] {
        #expect(!host.name.isEmpty && host.name.first != "-" && (1...512).contains(host.slots), "seed \(seed): \(text)")
      }
    }
  }
}
