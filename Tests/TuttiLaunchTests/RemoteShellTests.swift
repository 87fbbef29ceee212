import Testing

@testable import TuttiLaunch

/// What runs on a host, word by word.
@Suite struct RemoteShellTests {
  static let splits: [(command: String, words: [String])] = [
    ("ssh", ["ssh"]), ("  ssh \t-p 2222 ", ["ssh", "-p", "2222"]), ("a 'b c' \"d e\"f", ["a", "b c", "d ef"]),
    (#"a\ b "c\"d" "e\f" '\' g''h"#, ["a b", "c\"d", "e\\f", "\\", "gh"]), ("a ''", ["a", ""]),
    ("'$HOME;|' \"*\"", ["$HOME;|", "*"]), ("kubectl exec -i {host} --", ["kubectl", "exec", "-i", "{host}", "--"]),
  ]

  @Test(arguments: splits) func commandsAreSplitAsAShellDoes(_ split: (command: String, words: [String])) throws {
    #expect(try ShellWords.split(split.command, source: "--rsh") == split.words)
  }

  static let refusals = [
    ("", "--rsh is empty"), ("  ", "--rsh is empty"), ("ssh 'a", "--rsh, column 5: no closing '"),
    ("ssh \"a\\\"", "--rsh, column 5: no closing \""), ("ssh a\\", "--rsh, column 6: nothing follows the backslash"),
    ("ssh $HOST", "--rsh, column 5: '$' would need a shell"), ("a; b", "--rsh, column 2: ';'"), ("a | b", "column 3: '|'"),
    ("a `b`", "column 3: '`'"), ("~/ssh", "column 1: '~'"), ("a > b", "column 3: '>'"),
  ]

  @Test(arguments: refusals) func whatNeedsAShellIsRefused(_ command: String, _ says: String) {
    do {
      let shell = try RemoteShell(command, source: "--rsh")
      Issue.record("\(command) is \(shell)")
    } catch { #expect(error.code == .hosts && error.description.contains(says), "\(error)") }
  }

  @Test func theHostComesLastOrWhereItIsNamed() throws {
    let host = LaunchHost(name: "fd00::1", user: "me", slots: 2)
    let agent = ["/opt/my tools/collbench", "host-agent"]
    func words(_ command: String) throws -> [String] { try RemoteShell(command).words(running: agent, on: host) }
    #expect(try words("ip netns exec") == ["ip", "netns", "exec", "me@fd00::1"] + agent)
    #expect(try words("kubectl exec -i {host} --") == ["kubectl", "exec", "-i", "me@fd00::1", "--"] + agent)
    // A shell of the host splits what ssh is given.
    let ssh = try words("/usr/bin/ssh -p 2222")
    #expect(ssh.starts(with: ["/usr/bin/ssh", "-p", "2222", "-x", "-T", "-o", "BatchMode=yes"]))
    #expect(ssh.suffix(3) == ["me@fd00::1", "'/opt/my tools/collbench'", "host-agent"])
    #expect(try words("ssh {host}") == ["ssh", "me@fd00::1", "'/opt/my tools/collbench'", "host-agent"])
    #expect(ShellWords.quoted("it's") == "'it'\\''s'" && ShellWords.quoted("") == "''")
  }

  @Test func onlyThisHostNeedsNoShell() throws {
    var access = HostAccess(agent: HostAgent(program: "/bin/agent", version: "1"))
    #expect(access.command(for: LaunchHost(name: "localhost")) == ["/bin/agent", "host-agent"])
    #expect(access.command(for: LaunchHost(name: "localhost", user: "me"))[0] == "ssh")
    #expect(access.command(for: LaunchHost(name: "elsewhere"))[0] == "ssh")
    access.shell = .ssh
    #expect(access.command(for: LaunchHost(name: "localhost"))[0] == "ssh")
  }
}
